"""The history of a trigger on disk: one writer, one line an event, each on the disk before anything is done about it.

    with journal(Path("runs/triggers/new-images")) as history:
        history.append(Arrived(at=now, image="5f3a"))

A line that a crash cut short is cut off when the history is opened again: nothing was done on the strength of it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tasks.runner import RUNS
from tasks.triggers.events import Event, history, line
from tasks.triggers.state import State, after

TRIGGERS = RUNS / "triggers"
EVENTS = "events.jsonl"
WATCHED = "watched.json"
"""Says what place a trigger watches, or watched when it last did."""


class Journal:
    """A history that is open for writing, and the state that it leads to."""

    def __init__(self, file: BinaryIO, state: State, mistakes: tuple[str, ...]) -> None:
        self.state, self.mistakes = state, mistakes
        self._file = file

    def append(self, event: Event) -> None:
        """Write an event, wait for the disk, and only then take it into the state."""
        self._file.write(line(event).encode())
        os.fsync(self._file.fileno())
        self.state.follow(event)


@contextmanager
def journal(folder: Path) -> Iterator[Journal]:
    """Open the history of a trigger, or begin it; raises BlockingIOError where another process writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / EVENTS
    with path.open("ab", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when we die, however we die
        except BlockingIOError as error:
            raise BlockingIOError(
                f"another process writes {path}: stop it first, one trigger has one watcher"
            ) from error
        _cut_torn(path)
        found = history(path)
        yield Journal(file, after(found.events), found.mistakes)


def _cut_torn(path: Path) -> None:
    """Cut off a last line that has no newline."""
    written = path.read_bytes()
    whole = written.rfind(b"\n") + 1
    if whole < len(written):
        os.truncate(path, whole)
