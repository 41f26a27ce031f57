"""The main flow: every stage in turn, stopping where one fails or the teacher is refused.

dopsd run            (or a worker, from the deployment in prefect.yaml)
"""

import time
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.stage_task import stage_task
from flows.summary import Outcome
from tasks.pipeline import STAGES, Stage, from_stage


@flow(name="continual-tuning", persist_result=False)
def continual_tuning(from_stage_name: str | None = None, *, accept_weak_teacher: bool = False) -> State[list[Outcome]]:
    """Bring all stages up to date in the current folder; with `from_stage_name`, rerun it and all after it.

    The state holds what became of each stage that had its turn, and is named after the last one where that ended early.
    """
    forced = from_stage(from_stage_name) if from_stage_name else ()
    outcomes: list[Outcome] = []
    for stage in STAGES:
        outcomes.append(_turn(stage, is_forced=stage in forced, accept_weak_teacher=accept_weak_teacher))
        if outcomes[-1].status == "failed":
            return Failed(message=f"{stage.name} failed", data=outcomes)
        if outcomes[-1].status == "refused":
            return Completed(name="Refused", message=f"{stage.name} refused to go on", data=outcomes)
    return Completed(data=outcomes)


def _turn(stage: Stage, *, is_forced: bool, accept_weak_teacher: bool) -> Outcome:
    """Run the task of one stage; what fails there is a row of the summary here."""
    begun = time.monotonic()
    state: State[Any] = stage_task(
        stage, is_forced=is_forced, accept_weak_teacher=accept_weak_teacher, return_state=True
    )
    if state.is_completed():
        outcome: Outcome = state.result()
        return outcome
    return Outcome(stage.name, "failed", round(time.monotonic() - begun, 2))
