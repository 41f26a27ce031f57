"""A folder that others put images into: what is whole and can be trained on, what is not and why.

    inbox = Inbox(Path("inbox"), params.ingest, Path("runs/triggers/new-images"))
    for event in inbox.look(now, waiting): ...

A file counts once it is the same in two looks that lie `settled_for_s` apart, so an upload that grows waits; one that
stopped half-way does not decode, is refused, and is looked into again when it changes. Looking asks for sizes and times
alone, which works on every file system; nothing relies on being woken up.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from tasks.folders import read_json, write_json
from tasks.images.source import paths
from tasks.sections import Ingest
from tasks.triggers.events import Arrived, Event, Withdrawn
from tasks.triggers.validation import CAPTION_SUFFIX, named, validated

SETTLED_FOR_S = 5.0


@dataclass(frozen=True)
class Looked:
    """What a file was when it was looked into, the images in it, and whether a batch holds it."""

    size: int
    mtime_ns: int
    images: tuple[str, ...] = ()
    is_staged: bool = False

    def is_same(self, other: "Looked | None") -> bool:
        """Tell whether nobody wrote the file in between."""
        return other is not None and (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


class Inbox:
    """A watched folder, and what was found in it; `state` keeps that, and may be lost without harm."""

    def __init__(self, folder: Path, settings: Ingest, state: Path, settled_for_s: float = SETTLED_FOR_S) -> None:
        """Remember what was looked into before."""
        self.folder, self.looked = folder, dict[str, Looked]()
        self._settings, self._memory, self._settled_for_s = settings, state / "looked.json", settled_for_s
        self._since: dict[str, tuple[Looked, float]] = {}
        self._paths: dict[str, Path] = {}
        if self._memory.is_file():
            rows = read_json(self._memory)
            self.looked = {name: Looked(**row | {"images": tuple(row["images"])}) for name, row in rows.items()}

    def look(self, now: datetime, waiting: Mapping[str, Arrived]) -> Iterator[Event]:
        """Tell what came, what went, and what cannot be used, since the last look; raises FileNotFoundError."""
        if not self.folder.is_dir():
            raise FileNotFoundError(f"there is no folder {self.folder} to watch: make it, or name another")
        self._paths = {named(path, self.folder): path for path in paths(self.folder)}
        there = {name: looked for name, path in self._paths.items() if (looked := at(path)) is not None}
        self._forget(there)
        yield from self._withdrawn(now, waiting)
        settled = self._settled(there)
        for name in settled:
            events = list(validated(self._paths[name], self.folder, self._settings, now))
            yield from events
            images = tuple(sorted({event.image for event in events if isinstance(event, Arrived)}))
            self.looked[name] = replace(there[name], images=images)
        if settled:
            self.remember()

    def path(self, name: str) -> Path:
        """Find a file by its name."""
        return self._paths.get(name, self.folder / name)

    def staged(self, names: frozenset[str]) -> None:
        """Note that a batch holds these files."""
        self.looked |= {name: replace(self.looked[name], is_staged=True) for name in names}
        self.remember()

    def new_captions(self) -> frozenset[str]:
        """Name the captions that no batch holds as they are now."""
        found = (name for name, looked in self.looked.items() if not looked.is_staged)
        return frozenset(name for name in found if name.lower().endswith(CAPTION_SUFFIX))

    def remember(self) -> None:
        """Write down what was looked into."""
        write_json(self._memory, {name: asdict(looked) for name, looked in self.looked.items()})

    def _forget(self, there: Mapping[str, Looked]) -> None:
        """Drop what was known of files that changed or went."""
        self.looked = {name: looked for name, looked in self.looked.items() if looked.is_same(there.get(name))}

    def _withdrawn(self, now: datetime, waiting: Mapping[str, Arrived]) -> Iterator[Event]:
        """Take back images whose file is not what it was; a copy of one elsewhere will be found by looking again."""
        gone = {image for image, arrived in waiting.items() if arrived.file not in self.looked}
        for image in gone:
            yield Withdrawn(at=now, image=image)
        if gone:
            self.looked = {name: looked for name, looked in self.looked.items() if not gone & set(looked.images)}

    def _settled(self, there: Mapping[str, Looked]) -> list[str]:
        """Name the files to look into: new ones that were the same for long enough."""
        now, before = time.monotonic(), self._since
        waiting = {name: looked for name, looked in there.items() if name not in self.looked}
        self._since = {
            name: before[name] if name in before and looked.is_same(before[name][0]) else (looked, now)
            for name, looked in waiting.items()
        }
        return sorted(name for name, (_, since) in self._since.items() if now - since >= self._settled_for_s)


def at(path: Path) -> Looked | None:
    """Ask for the size and the time of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:  # deleted meanwhile, or a link to nothing
        return None
    return Looked(status.st_size, status.st_mtime_ns)
