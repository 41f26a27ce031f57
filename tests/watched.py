"""A place to put images into, and a trigger that watches it with a clock of its own and runs that end when told to.

place = Place(tmp_path); place.put("a.png", png(1))
with place.watched() as watch: watch.turn(place.now())
"""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from tasks.sections import Ingest
from tasks.triggers.events import Fired
from tasks.triggers.inbox import Inbox
from tasks.triggers.journal import journal
from tasks.triggers.policy import Policy
from tasks.triggers.sources.folder import Folder
from tasks.triggers.sources.source import Source, Unreachable
from tasks.triggers.watch import Places, Watch

START = datetime(2026, 11, 21, tzinfo=UTC)
EAGER = Policy(min_new_images=1, quiet_for=0, cooldown=0, max_runs_per_day=1000)
SETTINGS = Ingest(source="source", min_side_px=4)


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256, 7)).save(file, "PNG")
    return file.getvalue()


def packed(*numbers: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as pack:
        for number in numbers:
            pack.writestr(f"{number}.png", png(number))
    return file.getvalue()


def taped(*numbers: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tape:
        for number in numbers:
            entry = tarfile.TarInfo(f"{number}.png")
            entry.size = len(png(number))
            tape.addfile(entry, io.BytesIO(png(number)))
    return file.getvalue()


@dataclass
class FakeStarter:
    """Runs that end when they are told to."""

    asked: list[str] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)
    is_reachable: bool = True
    forgets: bool = False

    def start(self, run: Fired) -> None:
        if not self.is_reachable:
            raise Unreachable("no server")
        self.asked += [] if self.forgets else [run.run]

    def outcome(self, run: Fired) -> str:
        if not self.is_reachable:
            raise Unreachable("no server")
        return self.ended.get(run.run, "open" if run.run in self.asked else "unknown")


@dataclass
class Place:
    """A folder to put images into, and a trigger that watches it with a clock of its own."""

    root: Path
    starter: FakeStarter = field(default_factory=FakeStarter)
    settled_for_s: float = 0.0
    clock: int = 0

    def put(self, name: str, data: bytes) -> None:
        path = self.root / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    @contextmanager
    def watched(self, policy: Policy = EAGER, source: Source | None = None) -> Iterator[Watch]:
        (self.root / "inbox").mkdir(exist_ok=True)
        folder = self.root / "trigger"
        with journal(folder) as written:
            listed = self.root / "blocked.jsonl"
            listed.touch()
            inbox = Inbox(source or Folder(self.root / "inbox"), SETTINGS, folder, self.settled_for_s, listed)
            yield Watch(
                "new", policy, written, inbox, self.starter, Places(folder / "batches", self.root / "source/new")
            )

    def now(self) -> datetime:
        self.clock += 1
        return START + timedelta(seconds=self.clock)

    def admitted(self) -> set[str]:
        """List what a run that begins now learns from."""
        return {str(path.relative_to(self.root / "source/new")) for path in self.root.glob("source/new/**/*.*")}
