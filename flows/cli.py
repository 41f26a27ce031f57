"""The command line, `dopsd`; torch, Prefect and MLflow are imported by the commands that need them, when they do.

    dopsd --help

Exit codes: 0 done (a rejected adapter is a result, too), 1 a mistake or a failed stage, 2 the command line is wrong
(for `plan --detailed-exitcode`: there is work), 3 something upstream is stale, 4 the teacher is too weak, 5 the budget
ended it.
"""

import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows import bench, key, lineage, plan_table, trigger
from flows.audit import audit
from flows.budget import Budget
from flows.champion import champion, promote, rollback
from flows.compare import compare
from flows.doctor import doctor
from flows.export import export
from flows.mistakes import mistakes_told, told
from flows.options import AsJson, Force, From, Only, Until
from flows.run import ROOT, run
from flows.serving import down, status, up
from flows.train import train
from tasks.environment import settle
from tasks.params import load
from tasks.pipeline import STAGES, stage
from tasks.planning.plan import plan
from tasks.planning.selection import Selection
from tasks.runner import only_writer, sources

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(key.app, name="key")
app.add_typer(trigger.app, name="trigger")
app.add_typer(bench.app, name="bench")
app.add_typer(lineage.model, name="model")
for command in (champion, promote, rollback, lineage.lineage, audit):
    app.command()(command)
app.command()(run)
app.command()(compare)
app.command()(up)
app.command()(down)
app.command()(status)
app.command()(doctor)
app.command()(train)
app.command()(export)

StageName = Annotated[str, typer.Argument(help=f"One of {', '.join(row.name for row in STAGES)}.")]


def main() -> None:
    """Run the command line; a user's mistake ends with one message that says what to do."""
    settle()
    logging.getLogger("dvc").setLevel(logging.WARNING)  # its remarks go to stdout, where --json promises JSON alone
    app()


@app.command(name="plan")
def show_plan(
    first: From = None,
    until: Until = None,
    only: Only = None,
    force: Force = None,
    as_json: AsJson = False,
    detailed_exitcode: Annotated[bool, typer.Option(help="Exit with 2 where there is work.")] = False,
) -> None:
    """Tell what `run` would do, stage by stage and why, without doing it."""
    with mistakes_told():
        sources(load(ROOT), ROOT)
        found = plan(ROOT, Selection(first, until, only, tuple(force or ())), counts=True)
    if as_json:
        print(json.dumps(plan_table.as_json(found)))
    else:
        # a pipe has no width, and a reason should stay one line there
        plan_table.show(found, Console(highlight=False, width=None if sys.stdout.isatty() else 160))
    if detailed_exitcode and not found.is_idle:
        raise typer.Exit(2)


@app.command(name="stage")
def one_stage(name: StageName, force: Annotated[bool, typer.Option(help="Run it whatever is cached.")] = False) -> None:
    """Bring one stage up to date by itself, with DVC and without Prefect."""
    with mistakes_told(), only_writer(ROOT):
        load(ROOT)
        has_run = importlib.import_module("flows.reproduction").reproduce(stage(name).name, Budget(), is_forced=force)
    told.print(f"{name}: {'ran' if has_run else 'cached'}")


@app.command()
def sample(
    prompt: Annotated[str, typer.Option(help='What to draw; "[V]" is the concept.')],
    out: Annotated[Path, typer.Option(help="Where the picture goes (PNG).")],
    model: Annotated[str, typer.Option(metavar="champion|vN|base")] = "champion",
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Draw a picture in the steps that the adapter is deployed with."""
    with mistakes_told():
        params = load(ROOT)
        adapter = None
        if model != "base":
            adapter = importlib.import_module("tasks.versions.registry").fetch(params.register.model, model, ROOT)
        drawn = importlib.import_module("tasks.sample").picture(params, prompt, seed, adapter)
        out.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(out)
    told.print(f"{out}: {adapter.name if adapter else 'base'}, {params.train.num_steps} steps, seed {seed}")


if __name__ == "__main__":
    main()
