"""Ask a Prefect server for the run of a trigger: an event goes out, and the automation of prefect.yaml starts the run.

Asking().start(fired); Asking().outcome(fired)

The event and the run show in Prefect's own pages; any other automation may listen to `dopsd.images-ready`, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterExpectedStartTime
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.schemas.events import Event, Resource

from tasks.triggers.events import Fired
from tasks.triggers.sources.source import Unreachable

EVENT, TRIGGER = "dopsd.images-ready", "dopsd.trigger"
ASKED_BY = "asked_by"
"""The parameter of the flow that names the run of a trigger."""
_PAGE = 200


class Asking:
    """The server that PREFECT_API_URL names."""

    def start(self, run: Fired) -> None:
        """Emit an event, a new one each time: one that was seen starts nothing again, even where no run came of it."""
        event = Event(
            occurred=datetime.now(UTC),
            event=EVENT,
            resource=Resource({"prefect.resource.id": f"{TRIGGER}.{run.run.rpartition('-')[0]}"}),
            payload={"run": run.run, "images": len(run.images), "reason": run.reason},
        )
        with server() as client:
            client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()

    def outcome(self, run: Fired) -> Literal["unknown", "open", "completed", "failed"]:
        """Look the run up; of several with its name, one that completed is enough."""
        with server() as client:
            states = [found.state for found in _runs(client, run) if found.state is not None]
        if not states:
            return "unknown"
        if any(state.is_completed() for state in states):
            return "completed"
        return "failed" if all(state.is_final() for state in states) else "open"


@contextmanager
def server() -> Iterator[SyncPrefectClient]:
    """Lend a client of the server; raises Unreachable where it does not answer."""
    try:
        with get_client(sync_client=True) as client:
            yield client
    except (HTTPError, OSError) as error:
        raise Unreachable(f"the Prefect server does not answer ({error}); `dopsd status` says what runs") from error


def _runs(client: SyncPrefectClient, run: Fired) -> Iterator[FlowRun]:
    """Find the flow runs that were asked for by this name, the newest first."""
    since = FlowRunFilterExpectedStartTime(after_=run.at - timedelta(minutes=5))
    for offset in range(0, 1000 * _PAGE, _PAGE):
        page = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(expected_start_time=since),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=_PAGE,
            offset=offset,
        )
        yield from (found for found in page if found.parameters.get(ASKED_BY) == run.run)
        if len(page) < _PAGE:
            return
