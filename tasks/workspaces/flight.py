"""One execution for all who ask for the same thing at the same time; the others take what came of it.

    with flight(root, key, asked) as mine:
        if mine.landed is None:
            mine.land(summary)

A flight is known by its key, lies in runs/flights, and is held by a lock: one that dies leaves nothing but its state,
with which the next of the same key goes on.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.folders import read_json, sha256_of_json, write_json
from tasks.lock import held, held_if_free
from tasks.pipeline import STAGES, Stage
from tasks.planning.key import now
from tasks.runner import RUNS
from tasks.workspaces.workspace import is_lent, record

FLIGHTS = RUNS / "flights"
_LANDED = "landed.json"
_KEY_DIGITS = 16
_ABANDONED_S = 30 * 24 * 3600


@dataclass(frozen=True)
class Flight:
    """The turn of one who asked; `landed` is what came of the same thing since then, None where it is ours to do."""

    root: Path
    folder: Path
    landed: Any

    def land(self, summary: object, *, is_over: bool, is_answer: bool = True) -> None:
        """Tell what came of it to those who wait, and leave a lent workspace's record to the next.

        `is_over` says that nothing is left to go on with: the state that was kept for that can go. What is no answer to
        others, as only our own time was up, leaves them to have their turn.
        """
        if is_answer:
            write_json(self.folder / _LANDED, {"root": str(self.root), "at": time.time(), "summary": summary})
        if is_lent(self.root):
            record(self.root)
        if is_over:
            _forget(self.folder)


@contextmanager
def flight(root: Path, key: str, asked: float) -> Iterator[Flight]:
    """Wait for whoever does what `key` says, and have our turn; `asked` is when we wanted it, in seconds of the epoch.

    A person's own folder is to hold the outcome, so it takes that of a flight in the same folder only; a lent workspace
    takes that of any. In a lent one, what a stage must remember through a crash lies with the flight.
    """
    root = root.resolve()
    folder = (root / FLIGHTS / key[:_KEY_DIGITS]).resolve()
    with held(folder / "lock", "the run that does the same"):
        landed = _landed(root, folder, asked)
        if landed is None and is_lent(root):
            _keep_state(root, folder)
        yield Flight(root, folder, landed)


@contextmanager
def going_on(root: Path, key: str) -> Iterator[None]:
    """Go on, in a lent workspace, from what whoever had this `key` left when it died; it is forgotten once we are done.

    Two at once take turns.
    """
    folder = (root / FLIGHTS / key[:_KEY_DIGITS]).resolve()
    with held(folder / "lock", "the run that does the same"):
        _keep_state(root, folder)
        yield
        _forget(folder)


@contextmanager
def alone(stage: Stage, root: Path) -> Iterator[None]:
    """Hold one stage with its inputs as they are, in all workspaces; what came of it is then in DVC's cache.

    A stage that acts on the world outside is held whatever its inputs are.
    """
    try:
        key = sha256_of_json(dict(now(stage, root))) if stage.is_cached else "any"
    except FileNotFoundError:
        key = "incomplete"  # the stage says what it lacks, and how that comes about
    with held((root / FLIGHTS).resolve() / f"{stage.name}-{key[:_KEY_DIGITS]}.lock", f"{stage.name} in another run"):
        yield


def _landed(root: Path, folder: Path, asked: float) -> Any:
    if not (folder / _LANDED).is_file():
        return None
    said = read_json(folder / _LANDED)
    is_for_us = said["at"] >= asked and (is_lent(root) or said["root"] == str(root))
    return said["summary"] if is_for_us else None


def _keep_state(root: Path, folder: Path) -> None:
    """Let what the stages leave for the case of a crash lie with the flight, where the next of its key looks for it."""
    _sweep(folder.parent)
    for stage in STAGES:
        (folder / stage.name).mkdir(exist_ok=True)
        if not (root / RUNS / stage.name).is_symlink():
            (root / RUNS / stage.name).symlink_to(folder / stage.name)


def _sweep(flights: Path) -> None:
    """Forget the state of flights that nobody went on with."""
    for lock in flights.glob("*/lock"):
        if time.time() - lock.stat().st_mtime > _ABANDONED_S:
            with held_if_free(lock) as is_ours:
                if is_ours:
                    _forget(lock.parent)


def _forget(folder: Path) -> None:
    for stage in STAGES:
        shutil.rmtree(folder / stage.name, ignore_errors=True)
