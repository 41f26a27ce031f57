"""Hear what other systems offer: events of one name, whoever sent them to the Prefect server.

heard("dopsd.images-offered", since)
"""

from datetime import datetime

from prefect.client.schemas.events import EventPage
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventOrder

from flows.asking import server
from tasks.triggers.sources.offers import Heard

_PAGE = 50  # the most that the server gives at once


def heard(event: str, since: datetime) -> list[Heard]:
    """List the events since then, the oldest first; raises Unreachable."""
    wanted = EventFilter(
        event=EventNameFilter(name=[event]), occurred=EventOccurredFilter(since=since), order=EventOrder.ASC
    )
    found = list[Heard]()
    with server() as client:
        page: EventPage | None = client.read_events(wanted, limit=_PAGE)
        while page is not None:
            found += [Heard(str(one.id), one.occurred, one.payload) for one in page.events]
            page = page.get_next_page_sync(client)
    return found
