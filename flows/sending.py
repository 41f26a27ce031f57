"""Send a stage to a worker of the pool `gpu`, and bring its outcome into DVC's cache here: `dvc repro` then is a hit.

send(stage("train"), Budget(), is_forced=False, is_upstream_stale=False)        (DOPSD_POOL says that stages are sent)

Whoever asks for the same while it is under way waits for the same run.
"""

import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from httpx import TransportError
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from flows.budget import Budget, OutOfTime
from flows.errand import PASSING
from flows.mistakes import told
from flows.reproduction import MayPass, StageFailed
from tasks.devices.job import priority
from tasks.errands import baggage
from tasks.errands.errand import Errand, errand
from tasks.params import load
from tasks.pipeline import Stage

DEPLOYMENT = "stage/stage"
_UNDER_WAY = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
_LOOK_S = 2.0


def send(stage: Stage, budget: Budget, *, is_forced: bool, is_upstream_stale: bool) -> None:
    """Let a worker run the stage as the current folder is now; what it wrote is in DVC's cache afterwards.

    Raises ValueError where nobody elsewhere could run it, StageFailed or MayPass as it ended there, and OutOfTime
    where the budget did; the worker then is asked to end.
    """
    root = Path()
    asked = errand(stage, root, is_forced=is_forced, is_upstream_stale=is_upstream_stale)
    if not is_forced and baggage.bring_outcome(stage.name, root):
        return
    try:
        baggage.send(stage.name, root)
        _wait(_under_way(asked) or _begun(asked, load(root).register.model), budget)
        has_come = baggage.bring_outcome(stage.name, root)
    except ConnectionError as failure:
        raise MayPass(str(failure)) from failure
    if not has_come:
        raise StageFailed(f"what {stage.name} made is not in DVC's remote: look there, and run again")


def _under_way(asked: Errand) -> UUID | None:
    """Find a run that does the same and has not ended."""
    same = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[asked.key]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)),
    )
    with get_client(sync_client=True) as server:
        return next((run.id for run in server.read_flow_runs(flow_run_filter=same, limit=1)), None)


def _begun(asked: Errand, project: str) -> UUID:
    """Have a run made for it, whose turn comes by our own rank."""
    try:
        run: Any = run_deployment(
            DEPLOYMENT,
            parameters={"errand": asdict(asked)},
            flow_run_name=f"{project}, {asked.stage}",
            work_queue_name=priority(),
            tags=[asked.key],
            timeout=0,
        )
    except ObjectNotFound as error:
        raise ValueError(f"the Prefect server has no deployment {DEPLOYMENT}: `dopsd up` makes it") from error
    told.print(f"  {asked.stage}: sent to the pool gpu as the run {run.name}", soft_wrap=True)
    return UUID(str(run.id))


def _wait(run: UUID, budget: Budget) -> None:
    """Look every two seconds how it is, also while the server restarts."""
    with get_client(sync_client=True) as server:
        while True:
            with suppress(TransportError):
                found = server.read_flow_run(run)
                if found.state is not None and found.state.is_final():
                    return _judge(found, found.state)
                if budget.left() <= 0:
                    ending: State[None] = Cancelling()
                    server.set_flow_run_state(run, ending)
                    raise OutOfTime(f"{found.name} was asked to end, as the budget does")
            time.sleep(_LOOK_S)


def _judge(run: FlowRun, state: State[Any]) -> None:
    """Raise what a local run would have."""
    if state.is_completed():
        return
    failed = MayPass if state.is_crashed() or state.name == PASSING else StageFailed
    raise failed(f"{run.name} ended as {state.name}: {state.message}")
