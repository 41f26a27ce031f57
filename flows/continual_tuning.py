"""The main flow: every stage in turn, stopping where one fails or the teacher is refused.

dopsd run            (a worker runs it by flows/deployed.py, in a workspace of its own)
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.budget import Budget
from flows.stage_task import stage_task
from flows.summary import ENDING, Outcome
from tasks.passing import reason
from tasks.pipeline import Stage
from tasks.planning.selection import Selection
from tasks.runner import RUNS


@flow(name="continual-tuning", persist_result=False)
def continual_tuning(
    selection: Selection = Selection(),  # noqa: B008 (frozen)
    *,
    accept_weak_teacher: bool = False,
    budget: Budget | None = None,
) -> State[list[Outcome]]:
    """Bring the selected stages up to date in the current folder; with `selection.first`, rerun it and all after it.

    The state holds what became of each stage that had its turn, and is named after the last one where that ended early.
    """
    return ended(turns(selection, budget or Budget(), accept_weak_teacher=accept_weak_teacher), selection)


def turns(
    selection: Selection,
    budget: Budget,
    *,
    accept_weak_teacher: bool,
    heard: Callable[[Outcome], None] = lambda outcome: None,  # noqa: ARG005
) -> list[Outcome]:
    """Give every stage its turn, within a flow; tells what became of each until one fails, is refused or deferred.

    `heard` is told as soon as a stage has had its turn.
    """
    outcomes: list[Outcome] = []
    for stage in (*selection.upstream, *selection.chosen):
        outcomes.append(_turn(stage, selection, budget, accept_weak_teacher=accept_weak_teacher))
        heard(outcomes[-1])
        if outcomes[-1].status in ENDING:
            break
    return outcomes


def ended(outcomes: Sequence[Outcome], selection: Selection) -> State[list[Outcome]]:
    """Say in Prefect's words how a run ended; where that was early, the message says why, and what is left to do."""
    last = outcomes[-1]
    if last.status == "failed":
        return Failed(message=f"{last.name} failed ({last.reason}); {_left(last, selection)}", data=outcomes)
    if last.status == "refused":
        said = f"{last.name} refused to go on: the teacher is too weak"
        return Completed(name="Refused", message=f"{said}; {_left(last, selection)}", data=outcomes)
    if last.status == "deferred":
        said = f"the budget ends before {last.name} would"
        return Completed(name="Deferred", message=f"{said}; {_left(last, selection)}", data=outcomes)
    return Completed(data=outcomes)


def _left(last: Outcome, selection: Selection) -> str:
    """Say what the next run has to do."""
    names = [stage.name for stage in (*selection.upstream, *selection.chosen)]
    return f"left to do: {', '.join(names[names.index(last.name) :])}; the next run goes on there"


def _turn(stage: Stage, selection: Selection, budget: Budget, *, accept_weak_teacher: bool) -> Outcome:
    """Run the task of one stage, again as often as it gives way; what fails there is a row of the summary here."""
    begun = time.monotonic()
    task = partial(stage_task, stage, selection, budget, accept_weak_teacher=accept_weak_teacher, return_state=True)
    while (state := task()).is_completed():
        outcome: Outcome = state.result()
        if outcome.status != "gave way":
            return outcome
    why = reason(RUNS / stage.name) or state.message
    return Outcome(stage.name, "failed", round(time.monotonic() - begun, 2), reason=why)
