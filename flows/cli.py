"""The command line, `dopsd`; torch, Prefect and MLflow are imported by the commands that need them, when they do.

    dopsd --help

Exit codes: 0 done (a rejected adapter is a result, too), 1 a mistake or a failed stage, 2 the command line is wrong
(for `plan --detailed-exitcode`: there is work), 3 something before --from is stale, 4 the teacher is too weak.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.summary import Outcome, Summary
from tasks import weak_teacher
from tasks.environment import settle
from tasks.override import override
from tasks.params import PARAMS_FILE, load
from tasks.pipeline import PLACES, STAGES, from_stage, stage
from tasks.plan import Decision, Row, plan
from tasks.runner import only_writer, sources

ROOT = Path()
STALE = 3
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
told = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
StageName = Annotated[str, typer.Argument(help=f"One of {', '.join(row.name for row in STAGES)}.")]


def main() -> None:
    """Run the command line; a user's mistake ends with one message that says what to do."""
    settle()
    app()


@app.command(name="plan")
def show_plan(
    as_json: AsJson = False,
    detailed_exitcode: Annotated[bool, typer.Option(help="Exit with 2 where there is work.")] = False,
) -> None:
    """Tell what `run` would do, stage by stage and why, without doing it."""
    with _mistakes_told():
        sources(load(ROOT), ROOT)
        rows = plan(ROOT)
    if as_json:
        print(json.dumps({"stages": [asdict(row) for row in rows]}))
    else:
        Console(highlight=False).print(_table(rows))
    if detailed_exitcode and not all(row.is_idle for row in rows):
        raise typer.Exit(2)


@app.command()
def run(
    from_stage_name: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Rerun it and all after it.")
    ] = None,
    accept_weak_teacher: Annotated[bool, typer.Option(help="Train though the probe advises against it.")] = False,
    parent: Annotated[str | None, typer.Option(metavar="base|champion|vN", help="What to train on from.")] = None,
    as_json: AsJson = False,
) -> None:
    """Do what is to be done, from new images to a registered adapter; nothing to do is soon told."""
    with _mistakes_told(), only_writer(ROOT):
        _choose(parent)
        sources(load(ROOT), ROOT)
        rows = plan(ROOT)
        _refuse_stale(rows, from_stage_name)
        if from_stage_name is None and all(row.is_idle for row in rows):
            outcomes = [Outcome(row.name, "cached", 0.0) for row in rows]
            told.print("nothing to do: all stages are up to date")
        else:
            outcomes = _flow(from_stage_name, accept_weak_teacher=accept_weak_teacher)
    _end(Summary.of(outcomes, ROOT), as_json=as_json)


@app.command(name="stage")
def one_stage(name: StageName, force: Annotated[bool, typer.Option(help="Run it whatever is cached.")] = False) -> None:
    """Bring one stage up to date by itself, with DVC and without Prefect."""
    with _mistakes_told(), only_writer(ROOT):
        load(ROOT)
        has_run = importlib.import_module("flows.reproduction").reproduce(stage(name).name, is_forced=force)
    told.print(f"{name}: {'ran' if has_run else 'cached'}")


@app.command()
def sample(
    prompt: Annotated[str, typer.Option(help='What to draw; "[V]" is the concept.')],
    out: Annotated[Path, typer.Option(help="Where the picture goes (PNG).")],
    model: Annotated[str, typer.Option(metavar="champion|vN|base")] = "champion",
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Draw a picture in the steps that the adapter is deployed with."""
    with _mistakes_told():
        params = load(ROOT)
        adapter = None
        if model != "base":
            adapter = importlib.import_module("tasks.registry").fetch(params.register.model, model, ROOT)
        drawn = importlib.import_module("tasks.sample").picture(params, prompt, seed, adapter)
        out.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(out)
    told.print(f"{out}: {adapter.name if adapter else 'base'}, {params.train.num_steps} steps, seed {seed}")


@contextmanager
def _mistakes_told() -> Iterator[None]:
    """End a user's mistake with its message; where it happened would not help to mend it."""
    try:
        yield
    except (ValueError, FileNotFoundError, BlockingIOError) as mistake:
        told.print(str(mistake), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from mistake


def _choose(parent: str | None) -> None:
    """Write the parent that is asked for into params.yaml, by the name that stays its own."""
    if parent is None:
        return
    name = load(ROOT).register.model
    version = parent if parent == "base" else importlib.import_module("tasks.registry").named(name, parent)
    if override(ROOT, "train.parent", version):
        told.print(f"{PARAMS_FILE}: train.parent is now {version}")


def _refuse_stale(rows: list[Row], from_stage_name: str | None) -> None:
    """Prove that all before --from is fresh: rerunning after stale data would look right and be wrong."""
    if from_stage_name is None:
        return
    upstream = len(STAGES) - len(from_stage(from_stage_name))
    stale = [row for row in rows[:upstream] if row.decision is not Decision.CACHED]
    for row in stale:
        told.print(f"{row.name} is stale: {'; '.join(row.reasons)}", markup=False, soft_wrap=True)
    if stale:
        told.print(f"nothing was done: `dopsd run`, or `dopsd run --from {stale[0].name}`, begins there")
        raise typer.Exit(STALE)


def _flow(from_stage_name: str | None, *, accept_weak_teacher: bool) -> list[Outcome]:
    """Run the flow in this process: Prefect starts a server for it unless PREFECT_API_URL names one."""
    params = load(ROOT)
    if params.train.parent != "base":
        importlib.import_module("tasks.registry").fetch(params.register.model, params.train.parent, ROOT)
    flow = importlib.import_module("flows.continual_tuning").continual_tuning
    state = flow(from_stage_name, accept_weak_teacher=accept_weak_teacher, return_state=True)
    outcomes: list[Outcome] = state.result(raise_on_failure=False)
    return outcomes


def _end(summary: Summary, *, as_json: bool) -> None:
    """Tell what the run came to, and end with its exit code."""
    summary.show(told if as_json else Console(highlight=False))
    if as_json:
        print(json.dumps(summary.as_json()))
    last = summary.outcomes[-1].status
    if last == "refused":
        told.print(
            f"{weak_teacher.report(ROOT / PLACES['probe'])}\ntrain all the same with --accept-weak-teacher",
            soft_wrap=True,
        )
    code = {"refused": weak_teacher.EXIT_CODE, "failed": 1}.get(last, 0)
    sys.exit(code)


def _table(rows: list[Row]) -> Table:
    table = Table("stage", "", "why", box=None, pad_edge=False, header_style="bold")
    styles = {Decision.RUN: "green", Decision.CACHED: "dim", Decision.MAYBE: "yellow"}
    for row in rows:
        table.add_row(row.name, Text(row.decision, styles[row.decision]), "\n".join(row.reasons))
    return table


if __name__ == "__main__":
    main()
