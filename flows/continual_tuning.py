"""The main flow: every stage in turn, stopping where one fails or the teacher is refused.

    dopsd run            (or a worker, from the deployment in prefect.yaml)
"""

from pathlib import Path

from prefect import flow
from prefect.states import State

from flows.stage_task import Outcome, stage_task
from tasks.pipeline import STAGES, Stage, from_stage


@flow(name="continual-tuning", persist_result=False, log_prints=False)
def continual_tuning(from_stage_name: str | None = None, *, accept_weak_teacher: bool = False) -> list[Outcome]:
    """Bring all stages up to date in the current folder; with `from_stage_name`, rerun it and all after it.

    Gives what became of each stage that had its turn; the last one tells whether it ended early.
    """
    forced = from_stage(from_stage_name) if from_stage_name else ()
    outcomes: list[Outcome] = []
    for stage in STAGES:
        outcomes.append(_turn(stage, is_forced=stage in forced, is_weak_teacher_accepted=accept_weak_teacher))
        if outcomes[-1].status in ("refused", "failed"):
            break
    return outcomes


def _turn(stage: Stage, *, is_forced: bool, is_weak_teacher_accepted: bool) -> Outcome:
    """Run the task of one stage; a failure is an outcome here, and a failed task in Prefect."""
    state: State[Outcome] = stage_task(
        stage, is_forced=is_forced, is_weak_teacher_accepted=is_weak_teacher_accepted, return_state=True
    )
    if state.is_completed():
        return state.result()
    return Outcome(stage.name, "failed", state_seconds(state))
