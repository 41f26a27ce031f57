"""A stage as a Prefect task; DVC decides whether it runs.

stage_task(stage("caption"), Selection(), Budget(), accept_weak_teacher=False)
"""

import math
import time
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from flows.budget import Budget, OutOfTime
from flows.division import divide, has_shards
from flows.reproduction import GaveWay, MayPass, reproduce
from flows.sending import send
from flows.summary import Outcome, Status
from tasks import weak_teacher
from tasks.params import load
from tasks.pipeline import PLACES, Stage
from tasks.planning.installation import pool
from tasks.planning.plan import plan
from tasks.planning.row import Decision
from tasks.planning.selection import Selection
from tasks.runner import RUNS
from tasks.stores.reuse import last
from tasks.workspaces.flight import alone

_STATE_NAMES: dict[Status, str | None] = {
    "ran": None,
    "sent": "Sent",
    "cached": "Cached",
    "refused": "Refused",
    "deferred": "Deferred",
    "gave way": "GaveWay",
    "stale": "Stale",
}


class StaleUpstream(RuntimeError):
    """What stands before the first stage that was asked for is out of date, and nobody accepted that."""


def _may_pass(task: object, run: object, state: State[Any]) -> bool:  # noqa: ARG001 (Prefect asks so)
    """Tell whether another attempt makes sense: bad params are as bad in a minute."""
    return isinstance(state.result(raise_on_failure=False), MayPass)


# Prefect's own cache sees neither data nor helper code, so it is not asked
@task(
    task_run_name="{stage.name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=10),
    retry_jitter_factor=0.5,
    retry_condition_fn=_may_pass,
)
def stage_task(stage: Stage, selection: Selection, budget: Budget, *, accept_weak_teacher: bool) -> State[Outcome]:
    """Bring one stage up to date in the current folder; raises StageFailed, and StaleUpstream unless that is accepted.

    The state is "Sent" where a worker of the pool `gpu` ran it, "Cached" where DVC found nothing to do, "Refused" where
    the probe found the teacher too weak, "Deferred" where it would exceed the budget, "GaveWay" where it was asked to
    end and is to have another turn, "Stale" for a stage upstream of the selection that is out of date and is left so.
    """
    begun = time.monotonic()
    status = _done(stage, selection, budget)
    if stage.name == "probe" and status != "deferred" and _is_refused(accept_weak_teacher=accept_weak_teacher):
        status = "refused"
    images = last(RUNS, stage.name) if status == "ran" else None
    outcome = Outcome(stage.name, status, round(time.monotonic() - begun, 2), images)
    return Completed(name=_STATE_NAMES[status], message=f"{stage.name}: {status}", data=outcome)


def _done(stage: Stage, selection: Selection, budget: Budget) -> Status:
    """Plan again, as what stands before it may have changed; an output to be restored is work, too."""
    found = plan(Path(), selection, counts=not math.isinf(budget.seconds) or has_shards(load(Path())))
    row = next(row for row in (*found.upstream, *found.rows) if row.name == stage.name)
    if row in found.stale:
        if not selection.accept_stale:
            raise StaleUpstream(f"{row.name} is stale: {'; '.join(row.reasons)}")
        return "stale"
    if row.is_idle:
        return "cached"
    if row.decision is not Decision.CACHED and not budget.fits(row.expected):
        return "deferred"
    with alone(stage, Path()):
        forced, is_stale = stage in selection.forced, bool(found.stale)
        is_divided = stage.has_shards and has_shards(load(Path()))
        is_away = stage.needs == "gpu" and pool() is not None and row.decision is not Decision.CACHED
        is_sent = is_away and not is_divided
        try:
            if is_sent:
                send(stage, budget, is_forced=forced, is_upstream_stale=is_stale)
            elif is_divided:
                divide(stage, row.images, budget)
            has_run = reproduce(stage.name, budget, is_forced=forced and not is_sent, is_upstream_stale=is_stale)
        except OutOfTime:
            return "deferred"
        except GaveWay:
            return "gave way"
        return "sent" if is_sent else "ran" if has_run else "cached"


def _is_refused(*, accept_weak_teacher: bool) -> bool:
    """Read the probe's report; that a person accepts a weak teacher goes on record."""
    probe = Path(PLACES["probe"])
    if accept_weak_teacher and weak_teacher.is_weak(probe):
        weak_teacher.accept(probe, RUNS)
    return weak_teacher.is_refused(probe, RUNS, load(Path()).train.method)
