"""What other systems offer: each event names a folder or an address with images, and stands for thirty days.

    Offers(heard, Path("runs/triggers/offered/offers.json"), Path(params.ingest.source)).marks()

An event that says something else is kept with the others, and stands as a file that counts for nothing, with the
reason: so it is told where every refusal is, and the rest goes on.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from tasks.folders import read_json, write_json
from tasks.images.picture import Unusable
from tasks.triggers.checked import Record, checked
from tasks.triggers.sources import catalogue
from tasks.triggers.sources.source import Changed, Source

_STANDS_FOR = timedelta(days=30)
_MAY_BE_LATE = timedelta(days=1)  # an event carries the time of its sender's clock
_LONGEST_REASON = 500


class Offer(Record):
    """Where images lie, below which name they enter the dataset, and whatever the sender wants to be known."""

    images: str = Field(min_length=1)
    dataset: str = Field("offered", pattern=r"^\w[\w-]*$", max_length=100)
    note: str = ""


@dataclass(frozen=True)
class Heard:
    """An event as it came, checked by nobody."""

    id: str
    at: datetime
    payload: Mapping[str, Any]

    def row(self) -> dict[str, str]:
        """Write it so that no payload, whatever numbers and letters it holds, cannot be stored."""
        return {"at": self.at.isoformat(), "payload": json.dumps(self.payload)}


class Offers:
    """All that stands offered, as one source; a file is named by dataset, event and its own name."""

    def __init__(self, hear: Callable[[datetime], Iterable[Heard]], memory: Path, ingested: Path) -> None:
        """Remember what was heard before; `hear` gives the events since a time, or raises Unreachable."""
        self._hear, self._memory, self._ingested = hear, memory, ingested
        self._heard: dict[str, dict[str, str]] = read_json(memory) if memory.is_file() else {}
        self._sources: dict[str, Source] = {}
        self._refused: dict[str, str] = {}

    def marks(self) -> Mapping[str, str]:
        """Listen, then mark the files of every offer; raises Unreachable where nobody can be listened to."""
        self._listen(datetime.now(UTC))
        found, self._refused = dict[str, str](), {}
        for event, said in self._heard.items():
            try:
                found |= self._marks(event, json.loads(said["payload"]))
            except (ValueError, OSError) as mistake:
                self._refused[f"event {event}"] = str(mistake)[:_LONGEST_REASON]
        return found | dict.fromkeys(self._refused, "refused")

    @contextmanager
    def lent(self, name: str, mark: str) -> Iterator[Path]:
        """Lend a file of an offer, as its own source does."""
        if name in self._refused:
            raise Unusable(self._refused[name], "mend that, or send another event")
        dataset, event, rest = (*name.split("/", 2), "", "")[:3]
        source = self._sources.get(f"{dataset}/{event}")
        if source is None:
            raise Changed(name)
        with source.lent(rest, mark) as path:
            yield path

    def _listen(self, now: datetime) -> None:
        """Take in what was said since, and forget what is old; on the disk before anything is done about it."""
        last = max((datetime.fromisoformat(said["at"]) for said in self._heard.values()), default=now - _STANDS_FOR)
        new = {event.id: event for event in self._hear(min(last, now) - _MAY_BE_LATE) if event.id not in self._heard}
        rows = self._heard | {key: one.row() for key, one in new.items()}
        rows = {key: row for key, row in rows.items() if now - datetime.fromisoformat(row["at"]) < _STANDS_FOR}
        if rows.keys() != self._heard.keys():
            write_json(self._memory, rows)
        self._heard = rows

    def _marks(self, event: str, payload: object) -> dict[str, str]:
        """Mark the files of one offer; raises ValueError, FileNotFoundError, Unreachable."""
        offer = checked(Offer, payload, "its payload")
        if (folder := catalogue.local(offer.images)) is not None:
            catalogue.refuse_overlap(folder, self._ingested)
        below = f"{offer.dataset}/{event}"
        if below not in self._sources:
            self._sources[below] = catalogue.named(offer.images)
        return {f"{below}/{name}": mark for name, mark in self._sources[below].marks().items()}
