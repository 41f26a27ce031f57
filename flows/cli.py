"""The command line, `dopsd`: a table of its commands; each is imported when it is asked for, with all that it needs.

    dopsd --help

Exit codes: 0 done (a rejected adapter is a result, too), 1 a mistake or a failed stage, 2 the command line is wrong
(for `plan --detailed-exitcode`: there is work), 3 something upstream is stale, 4 the teacher is too weak, 5 the budget
ended it.
"""

import gc
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup

from tasks.environment import settle

COMMANDS: Mapping[str, str] = {
    "run": "flows.run:run",
    "plan": "flows.plan:show_plan",
    "stage": "flows.stage:one_stage",
    "key": "flows.key:app",
    "train": "flows.train:train",
    "sample": "flows.sample:sample",
    "export": "flows.export:export",
    "compare": "flows.compare:compare",
    "rounds": "flows.rounds:rounds",
    "champion": "flows.champion:champion",
    "promote": "flows.champion:promote",
    "rollback": "flows.champion:rollback",
    "lineage": "flows.lineage:lineage",
    "model": "flows.model:model",
    "audit": "flows.audit:audit",
    "push": "flows.push:push",
    "takedown": "flows.takedown:app",
    "gc": "flows.gc:app",
    "provenance": "flows.provenance:app",
    "up": "flows.serving:up",
    "down": "flows.serving:down",
    "status": "flows.serving:status",
    "trigger": "flows.trigger:app",
    "pool": "flows.pool:app",
    "doctor": "flows.doctor:doctor",
    "bench": "flows.bench:app",
}


class OnDemand(TyperGroup):
    """A group of commands that are known by name until one is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = dict.fromkeys(COMMANDS, cast(Any, None))  # what a mistyped name is compared with

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 (the library asks so)
        """Import a command; None where there is no such."""
        if self.commands.get(cmd_name) is None and cmd_name in COMMANDS:
            self.commands[cmd_name] = _imported(cmd_name)
        return self.commands.get(cmd_name)


def _imported(name: str) -> Any:
    module, _, what = COMMANDS[name].partition(":")
    found: typer.Typer | Callable[..., None] = getattr(import_module(module), what)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name)(found)
    return typer.main.get_command(single)


app = typer.Typer(
    cls=OnDemand, help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def settled() -> None:
    """Keep DVC's remarks off stdout, where --json promises JSON alone."""
    logging.getLogger("dvc").setLevel(logging.WARNING)


def main() -> None:
    """Run the command line; a user's mistake ends with one message that says what to do."""
    settle()
    gc.set_threshold(
        100_000, 50, 100
    )  # looking through all that was imported, again and again, took a quarter of a plan
    app()


if __name__ == "__main__":
    main()
