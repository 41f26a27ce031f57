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
    "run": "flows.commands.run:run",
    "plan": "flows.commands.plan:show_plan",
    "stage": "flows.commands.stage:one_stage",
    "key": "flows.commands.key:app",
    "train": "flows.commands.train:train",
    "sample": "flows.commands.sample:sample",
    "export": "flows.commands.export:export",
    "compare": "flows.commands.compare:compare",
    "rounds": "flows.commands.rounds:rounds",
    "champion": "flows.commands.champion:champion",
    "promote": "flows.commands.champion:promote",
    "rollback": "flows.commands.champion:rollback",
    "lineage": "flows.commands.lineage:lineage",
    "model": "flows.commands.model:model",
    "audit": "flows.commands.audit:audit",
    "push": "flows.commands.push:push",
    "takedown": "flows.commands.takedown:app",
    "gc": "flows.commands.gc:app",
    "provenance": "flows.commands.provenance:app",
    "up": "flows.serving:up",
    "down": "flows.serving:down",
    "status": "flows.serving:status",
    "trigger": "flows.commands.trigger:app",
    "pool": "flows.commands.pool:app",
    "doctor": "flows.commands.doctor:doctor",
    "bench": "flows.commands.bench:app",
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
