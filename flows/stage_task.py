"""A stage as a Prefect task; DVC decides whether it runs.

stage_task(stage("caption"), is_forced=False, accept_weak_teacher=False)
"""

import time
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.reproduction import reproduce
from flows.summary import Outcome, Status
from tasks import weak_teacher
from tasks.pipeline import PLACES, Stage
from tasks.plan import plan
from tasks.runner import RUNS

_STATE_NAMES: dict[Status, str | None] = {"ran": None, "cached": "Cached", "refused": "Refused"}


# Prefect's own cache sees neither data nor helper code, so it is not asked
@task(task_run_name="{stage.name}", cache_policy=NO_CACHE, persist_result=False)
def stage_task(stage: Stage, *, is_forced: bool, accept_weak_teacher: bool) -> State[Outcome]:
    """Bring one stage up to date in the current folder; raises StageFailed.

    The state is "Cached" where DVC found nothing to do, "Refused" where the probe found the teacher too weak.
    """
    begun = time.monotonic()
    has_run = (is_forced or _has_work(stage)) and reproduce(stage.name, is_forced=is_forced)
    status: Status = "ran" if has_run else "cached"
    if stage.name == "probe" and _is_refused(accept_weak_teacher=accept_weak_teacher):
        status = "refused"
    outcome = Outcome(stage.name, status, round(time.monotonic() - begun, 2))
    return Completed(name=_STATE_NAMES[status], message=f"{stage.name}: {status}", data=outcome)


def _has_work(stage: Stage) -> bool:
    """Ask DVC in this process, which is quicker than to start another; an output to be restored is work, too."""
    return not any(row.name == stage.name and row.is_idle for row in plan(Path()))


def _is_refused(*, accept_weak_teacher: bool) -> bool:
    """Read the probe's report; that a person accepts a weak teacher goes on record."""
    probe = Path(PLACES["probe"])
    if not weak_teacher.is_weak(probe):
        return False
    if accept_weak_teacher:
        weak_teacher.accept(probe, RUNS)
    return not weak_teacher.is_accepted(probe, RUNS)
