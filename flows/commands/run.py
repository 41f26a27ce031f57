"""Do what is to be done, from new images to a registered adapter.

dopsd run --from train --budget 2h
"""

import importlib
import json
import os
import sys
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from flows.budget import Budget
from flows.flown import asked_now, flown
from flows.isolated import run_isolated
from flows.mistakes import mistakes_told, told
from flows.options import ROOT, AsJson, Force, From, Only, Until
from flows.summary import Outcome, Summary
from tasks import weak_teacher
from tasks.devices.job import refuse_too_small_a_host
from tasks.params import PARAMS_FILE, load
from tasks.pipeline import PLACES, stage
from tasks.planning.code_record import refresh
from tasks.planning.plan import Plan, plan
from tasks.planning.row import Decision
from tasks.planning.selection import STALE_EXIT_CODE, Selection
from tasks.runner import only_writer, sources
from tasks.versions.parent import bring_parent
from tasks.versions.shadow import SHADOW

DEFERRED_EXIT_CODE = 5


def run(
    first: From = None,
    until: Until = None,
    only: Only = None,
    force: Force = None,
    accept_stale: Annotated[bool, typer.Option(help="Go on from stale inputs; what comes of it is marked.")] = False,
    accept_weak_teacher: Annotated[bool, typer.Option(help="Train though the probe advises against it.")] = False,
    parent: Annotated[str | None, typer.Option(metavar="base|champion|vN", help="What to train on from.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="2h", help="End before it takes longer; go on later.")] = None,
    shadow: Annotated[bool, typer.Option(help="Judge what comes of it, and promote nothing.")] = False,
    isolated: Annotated[bool, typer.Option(help="Run the last commit in a workspace of its own.")] = False,
    as_json: AsJson = False,
) -> None:
    """Do what is to be done, from new images to a registered adapter; nothing to do is soon told."""
    if isolated:
        _isolated()
    asked = asked_now()
    with mistakes_told(), only_writer(ROOT):
        spent = Budget.of(budget)
        if shadow:
            os.environ[SHADOW] = "yes"
        _choose(parent)
        sources(load(ROOT), ROOT)
        selection = Selection(first, until, only, tuple(force or ()), accept_stale)
        found = plan(ROOT, selection, remembers=True)
        _refuse_stale(found, selection)
        to_do = [stage(row.name) for row in found.rows if row.decision is not Decision.CACHED]
        refuse_too_small_a_host(to_do, load(ROOT))
        _warn(found)
        if found.is_idle:
            if not found.is_code_recorded:
                refresh(ROOT)
            summary = Summary.of([Outcome(row.name, "cached", 0.0) for row in (*found.upstream, *found.rows)], ROOT)
            told.print("nothing to do: all stages are up to date")
        else:
            fly = partial(_flow, selection, spent, accept_weak_teacher=accept_weak_teacher)
            summary = flown(ROOT, selection, accept_weak_teacher=accept_weak_teacher, asked=asked, fly=fly)
    _end(summary, as_json=as_json)


def _isolated() -> None:
    """Do in a workspace of its own what this command line says without --isolated."""
    with mistakes_told():
        arguments = [word for word in sys.argv[1:] if word != "--isolated"]
        raise typer.Exit(run_isolated(ROOT, arguments))


def _choose(parent: str | None) -> None:
    """Write the parent that is asked for into params.yaml; tell what that is, and what of it is learnt again."""
    if parent is None:
        return
    start = importlib.import_module("tasks.versions.start").start_from(ROOT, parent)
    told.print(f"{PARAMS_FILE}: trains on from {start.version}: {start.reason}")
    if start.num_replayed:
        told.print(f"{start.num_replayed} pictures that {start.version} or its ancestors learnt are learnt again")
    if start.num_earlier:
        told.print(f"it is asked of {start.num_earlier} concepts that were learnt before, too")


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


def _flow(selection: Selection, budget: Budget, *, accept_weak_teacher: bool) -> list[Outcome]:
    """Run the flow in this process: Prefect starts a server for it unless PREFECT_API_URL names one."""
    bring_parent(ROOT)
    flow = importlib.import_module("flows.continual_tuning").continual_tuning
    state = flow(selection, accept_weak_teacher=accept_weak_teacher, budget=budget, return_state=True)
    outcomes: list[Outcome] = state.result(raise_on_failure=False)
    return outcomes


def _end(summary: Summary, *, as_json: bool) -> None:
    """Tell what the run came to, and end with its exit code."""
    summary.show(told if as_json else Console(highlight=False))
    if as_json:
        print(json.dumps(summary.as_json()))
    last = summary.outcomes[-1]
    if last.status == "refused" and not summary.is_joined:
        told.print(
            f"{weak_teacher.report(ROOT / PLACES['probe'])}\ntrain all the same with --accept-weak-teacher",
            soft_wrap=True,
        )
    if last.status == "deferred":
        told.print(f"the budget ends before {last.name} would: `dopsd run` goes on from here")
    code = {"refused": weak_teacher.EXIT_CODE, "failed": 1, "deferred": DEFERRED_EXIT_CODE}.get(last.status, 0)
    sys.exit(code)
