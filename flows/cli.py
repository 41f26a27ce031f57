"""The command line, `dopsd`; torch, Prefect and MLflow are imported by the commands that need them, when they do.

    dopsd --help

Exit codes: 0 done (a rejected adapter is a result, too), 1 a mistake or a failed stage, 2 the command line is wrong
(for `plan --detailed-exitcode`: there is work), 3 something upstream is stale, 4 the teacher is too weak.
"""

import importlib
import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows import bench, key, lineage, plan_table, trigger
from flows.audit import audit
from flows.champion import champion, promote, rollback
from flows.compare import compare
from flows.doctor import doctor
from flows.export import export
from flows.flown import asked_now, flown
from flows.isolated import run_isolated
from flows.mistakes import mistakes_told, told
from flows.serving import down, status, up
from flows.summary import Outcome, Summary
from flows.train import train
from tasks import weak_teacher
from tasks.environment import settle
from tasks.override import override
from tasks.params import PARAMS_FILE, load
from tasks.pipeline import PLACES, STAGES, stage
from tasks.planning.code_record import refresh
from tasks.planning.plan import Plan, plan
from tasks.planning.selection import STALE_EXIT_CODE, Selection
from tasks.runner import only_writer, sources

ROOT = Path()
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(key.app, name="key")
app.add_typer(trigger.app, name="trigger")
app.add_typer(bench.app, name="bench")
app.add_typer(lineage.model, name="model")
for command in (champion, promote, rollback, lineage.lineage, audit):
    app.command()(command)
app.command()(compare)
app.command()(up)
app.command()(down)
app.command()(status)
app.command()(doctor)
app.command()(train)
app.command()(export)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
From = Annotated[str | None, typer.Option("--from", metavar="STAGE", help="Rerun it and all after it.")]
Until = Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after it.")]
Only = Annotated[str | None, typer.Option(metavar="STAGE", help="Let it have its turn alone.")]
Force = Annotated[list[str] | None, typer.Option(metavar="STAGE", help="Run it whatever is cached; may be repeated.")]
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


@app.command()
def run(
    first: From = None,
    until: Until = None,
    only: Only = None,
    force: Force = None,
    accept_stale: Annotated[bool, typer.Option(help="Go on from stale inputs; what comes of it is marked.")] = False,
    accept_weak_teacher: Annotated[bool, typer.Option(help="Train though the probe advises against it.")] = False,
    parent: Annotated[str | None, typer.Option(metavar="base|champion|vN", help="What to train on from.")] = None,
    isolated: Annotated[bool, typer.Option(help="Run the last commit in a workspace of its own.")] = False,
    as_json: AsJson = False,
) -> None:
    """Do what is to be done, from new images to a registered adapter; nothing to do is soon told."""
    if isolated:
        _isolated()
    asked = asked_now()
    with mistakes_told(), only_writer(ROOT):
        _choose(parent)
        sources(load(ROOT), ROOT)
        selection = Selection(first, until, only, tuple(force or ()), accept_stale)
        found = plan(ROOT, selection, remembers=True)
        _refuse_stale(found, selection)
        _warn(found)
        if found.is_idle:
            if not found.is_code_recorded:
                refresh(ROOT)
            summary = Summary.of([Outcome(row.name, "cached", 0.0) for row in (*found.upstream, *found.rows)], ROOT)
            told.print("nothing to do: all stages are up to date")
        else:
            fly = partial(_flow, selection, accept_weak_teacher=accept_weak_teacher)
            summary = flown(ROOT, selection, accept_weak_teacher=accept_weak_teacher, asked=asked, fly=fly)
    _end(summary, as_json=as_json)


@app.command(name="stage")
def one_stage(name: StageName, force: Annotated[bool, typer.Option(help="Run it whatever is cached.")] = False) -> None:
    """Bring one stage up to date by itself, with DVC and without Prefect."""
    with mistakes_told(), only_writer(ROOT):
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
    with mistakes_told():
        params = load(ROOT)
        adapter = None
        if model != "base":
            adapter = importlib.import_module("tasks.versions.registry").fetch(params.register.model, model, ROOT)
        drawn = importlib.import_module("tasks.sample").picture(params, prompt, seed, adapter)
        out.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(out)
    told.print(f"{out}: {adapter.name if adapter else 'base'}, {params.train.num_steps} steps, seed {seed}")


def _isolated() -> None:
    """Do in a workspace of its own what this command line says without --isolated."""
    with mistakes_told():
        arguments = [word for word in sys.argv[1:] if word != "--isolated"]
        raise typer.Exit(run_isolated(ROOT, arguments))


def _choose(parent: str | None) -> None:
    """Write the parent that is asked for into params.yaml, by the name that stays its own."""
    if parent is None:
        return
    name = load(ROOT).register.model
    version = parent if parent == "base" else importlib.import_module("tasks.versions.registry").named(name, parent)
    if override(ROOT, "train.parent", version):
        told.print(f"{PARAMS_FILE}: train.parent is now {version}")


def _refuse_stale(found: Plan, selection: Selection) -> None:
    """Prove that all upstream is fresh: rerunning after stale data would look right and be wrong."""
    for row in found.stale:
        told.print(f"{row.name} is stale: {'; '.join(row.reasons)}", markup=False, soft_wrap=True)
    if found.stale and not selection.accept_stale:
        begin = f"`dopsd run`, or `dopsd run --from {found.stale[0].name}`, begins there"
        told.print(f"nothing was done: {begin}; --accept-stale goes on all the same, and marks what comes of it")
        raise typer.Exit(STALE_EXIT_CODE)


def _warn(found: Plan) -> None:
    for warning in found.warnings:
        told.print(f"warning: {warning}: changes of what it leads to go unseen", style="yellow", markup=False)


def _flow(selection: Selection, *, accept_weak_teacher: bool) -> list[Outcome]:
    """Run the flow in this process: Prefect starts a server for it unless PREFECT_API_URL names one."""
    params = load(ROOT)
    if params.train.parent != "base":
        importlib.import_module("tasks.versions.registry").fetch(params.register.model, params.train.parent, ROOT)
    flow = importlib.import_module("flows.continual_tuning").continual_tuning
    state = flow(selection, accept_weak_teacher=accept_weak_teacher, return_state=True)
    outcomes: list[Outcome] = state.result(raise_on_failure=False)
    return outcomes


def _end(summary: Summary, *, as_json: bool) -> None:
    """Tell what the run came to, and end with its exit code."""
    summary.show(told if as_json else Console(highlight=False))
    if as_json:
        print(json.dumps(summary.as_json()))
    last = summary.outcomes[-1].status
    if last == "refused" and not summary.is_joined:
        told.print(
            f"{weak_teacher.report(ROOT / PLACES['probe'])}\ntrain all the same with --accept-weak-teacher",
            soft_wrap=True,
        )
    code = {"refused": weak_teacher.EXIT_CODE, "failed": 1}.get(last, 0)
    sys.exit(code)


if __name__ == "__main__":
    main()
