"""A place that others put images into: what is whole and can be trained on, what is not and why.

    inbox = Inbox(Folder(Path("inbox")), params.ingest, Path("runs/triggers/new-images"))
    for event in inbox.look(now, waiting): ...

A file counts once it is the same in two looks that lie `settled_for_s` apart, so an upload that grows waits; one that
stopped half-way does not decode, is refused, and is looked into again when it changes.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from tasks.folders import read_json, write_json
from tasks.images.blocked import BlockList, blocked
from tasks.images.picture import Unusable
from tasks.images.sidecar import is_sidecar
from tasks.pipeline import PLACES
from tasks.sections import Ingest
from tasks.triggers.events import Arrived, Event, Refused, Withdrawn
from tasks.triggers.sources.source import Changed, Source
from tasks.triggers.validation import validated

SETTLED_FOR_S = 5.0
_BLOCKED = Path(PLACES["blocked"])


@dataclass(frozen=True)
class Looked:
    """The mark that a file had when it was looked into, the images in it, and whether a batch holds it."""

    mark: str
    images: tuple[str, ...] = ()
    is_staged: bool = False


class Inbox:
    """A watched place, and what was found in it; `state` keeps that, and may be lost without harm."""

    def __init__(
        self,
        source: Source,
        settings: Ingest,
        state: Path,
        settled_for_s: float = SETTLED_FOR_S,
        listed: Path = _BLOCKED,
    ) -> None:
        """Remember what was looked into before; `listed` is the block-list, read at each look."""
        self.source, self.looked = source, dict[str, Looked]()
        self._settings, self._memory, self._settled_for_s = settings, state / "marks.json", settled_for_s
        self._listed, self._blocked = listed, BlockList()
        self._since: dict[str, tuple[str, float]] = {}
        if self._memory.is_file():
            rows = read_json(self._memory)
            self.looked = {name: Looked(**row | {"images": tuple(row["images"])}) for name, row in rows.items()}

    def look(self, now: datetime, waiting: Mapping[str, Arrived]) -> Iterator[Event]:
        """Tell what came, what went, and what cannot be used, since the last look; raises what the source raises."""
        there = self.source.marks()
        self._forget(there)
        yield from self._withdrawn(now, waiting)
        settled = self._settled(there)
        self._blocked = blocked(self._listed) if settled else self._blocked
        for name in settled:
            try:
                events = self._judged(name, there[name], now)
            except Changed:
                continue
            yield from events
            images = tuple(sorted({event.image for event in events if isinstance(event, Arrived)}))
            self.looked[name] = Looked(there[name], images)
        if settled:
            self.remember()

    def staged(self, names: frozenset[str]) -> None:
        """Note that a batch holds these files."""
        self.looked |= {name: replace(self.looked[name], is_staged=True) for name in names}
        self.remember()

    def new_captions(self) -> frozenset[str]:
        """Name the captions that no batch holds as they are now."""
        found = (name for name, looked in self.looked.items() if not looked.is_staged)
        return frozenset(name for name in found if is_sidecar(name))

    def remember(self) -> None:
        """Write down what was looked into."""
        write_json(self._memory, {name: asdict(looked) for name, looked in self.looked.items()})

    def _judged(self, name: str, mark: str, now: datetime) -> list[Event]:
        """Look into one file; raises Changed."""
        try:
            with self.source.lent(name, mark) as path:
                return list(validated(path, name, self._settings, self._blocked, now))
        except Unusable as refusal:
            return [Refused(at=now, file=name, reason=f"{refusal.reason}; {refusal.mend}")]

    def _forget(self, there: Mapping[str, str]) -> None:
        """Drop what was known of files that changed or went."""
        self.looked = {name: looked for name, looked in self.looked.items() if there.get(name) == looked.mark}

    def _withdrawn(self, now: datetime, waiting: Mapping[str, Arrived]) -> Iterator[Event]:
        """Take back images whose file is not what it was; a copy of one elsewhere will be found by looking again."""
        gone = {image for image, arrived in waiting.items() if arrived.file not in self.looked}
        for image in gone:
            yield Withdrawn(at=now, image=image)
        if gone:
            self.looked = {name: looked for name, looked in self.looked.items() if not gone & set(looked.images)}

    def _settled(self, there: Mapping[str, str]) -> list[str]:
        """Name the files to look into: new ones that were the same for long enough."""
        now, before = time.monotonic(), self._since
        self._since = {
            name: before[name] if name in before and before[name][0] == mark else (mark, now)
            for name, mark in there.items()
            if name not in self.looked
        }
        return sorted(name for name, (_, since) in self._since.items() if now - since >= self._settled_for_s)
