"""Runs of a deployment that another run begins and waits for; they are found again by their tag.

>>> run = begun("stage/stage", {"errand": {...}}, "dopsd, train", tag=asked.key)
>>> [failure_of(run) for run in ended([run.id])]  # [] as long as it is under way, [None] where all went well
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
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

from flows.errand import PASSING
from flows.reproduction import MayPass, StageFailed
from tasks.devices.job import priority

_UNDER_WAY = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]


def begun(deployment: str, parameters: Mapping[str, Any], name: str, tag: str) -> FlowRun:
    """Have a run made, whose turn comes by our own rank; raises ValueError where there is no such deployment."""
    try:
        run: Any = run_deployment(
            deployment,
            parameters=dict(parameters),
            flow_run_name=name,
            work_queue_name=priority(),
            tags=[tag],
            timeout=0,
        )
    except ObjectNotFound as error:
        raise ValueError(f"the Prefect server has no deployment {deployment}: `dopsd up` makes it") from error
    made: FlowRun = run
    return made


def under_way(tag: str) -> list[UUID]:
    """Find the runs with this tag that have not ended."""
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY))
    with get_client(sync_client=True) as server:
        found = server.read_flow_runs(flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]), state=state))
    return [run.id for run in found]


def ended(runs: Collection[UUID]) -> list[FlowRun]:
    """Give those of `runs` that have ended; none while the server restarts."""
    with suppress(TransportError), get_client(sync_client=True) as server:
        found = [server.read_flow_run(run) for run in runs]
        return [run for run in found if run.state is not None and run.state.is_final()]
    return []


def failure_of(run: FlowRun) -> StageFailed | None:
    """Make of a run that has ended what a local one would have raised."""
    state = run.state
    assert state is not None
    if state.is_completed():
        return None
    failed = MayPass if state.is_crashed() or state.name == PASSING else StageFailed
    return failed(f"{run.name} ended as {state.name}: {state.message}")


def ask_to_end(run: UUID) -> None:
    """Let its worker end it; what it had made by then stays. A server that does not answer lets it go on."""
    ending: State[None] = Cancelling()
    with suppress(TransportError), get_client(sync_client=True) as server:
        server.set_flow_run_state(run, ending)
