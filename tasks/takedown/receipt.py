"""The receipt of a takedown: who, when, why, what was hit, and the digests of what was removed; never the picture.

    takedowns/5f3a09c1d2e4.json

It is the journal, too: what is about to be removed stands in it first, each step is entered as it is done.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.folders import read_json, write_json
from tasks.takedown.trace import GRID

TAKEDOWNS = Path("takedowns")
DONE = "done"


@dataclass
class Receipt:
    """What is kept of a takedown; `folders` were looked through beside the usual places, times are in UTC.

    `blobs` are git's names of the bytes of pictures, by which its history is asked.
    """

    name: str
    asked: str
    by: str
    reason: str
    at: str = ""
    folders: list[str] = field(default_factory=list)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    blobs: list[str] = field(default_factory=list)
    hit: dict[str, Any] = field(default_factory=dict)
    removed: list[dict[str, str]] = field(default_factory=list)
    steps: list[dict[str, str]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Say where it lies in the project."""
        return str(TAKEDOWNS / f"{self.name}.json")

    @property
    def runs(self) -> set[str]:
        """Name the runs of the versions hit."""
        return set(self.hit.get("runs", {}).values())

    @property
    def is_done(self) -> bool:
        """Tell whether it came to its end."""
        return any(row["step"] == DONE for row in self.steps)

    def intend(self, root: Path, rows: Iterable[Mapping[str, str]]) -> None:
        """Write down what is about to be removed."""
        self.removed += [dict(row) for row in rows if row not in self.removed]
        self._write(root)

    def enter(self, root: Path, step: str) -> None:
        """Write down that a step is done."""
        self.steps.append({"step": step, "at": _now()})
        self._write(root)

    def _write(self, root: Path) -> None:
        self.at = self.at or _now()
        write_json(root / self.place, asdict(self))


def receipts(root: Path) -> list[Receipt]:
    """Read all receipts of a project; raises ValueError naming one that is none."""
    return [_read(path) for path in sorted((root / TAKEDOWNS).glob("*.json"))]


@dataclass(frozen=True)
class Removed:
    """What takedowns removed, by digest: grids, and what was the picture's alone; `runs` made the versions hit."""

    grids: frozenset[str]
    its_own: frozenset[str]
    runs: frozenset[str]

    def of(self, run_id: str | None) -> frozenset[str]:
        """Name what may be gone from the version of a run; a grid only of one that was hit. With None, all."""
        return self.its_own | self.grids if run_id is None or run_id in self.runs else self.its_own


def removed(root: Path) -> Removed:
    """Read what all takedowns of a project removed."""
    known = receipts(root)
    rows = [row for receipt in known for row in receipt.removed]
    grids = frozenset(row["digest"] for row in rows if GRID in row["name"])
    its_own = frozenset(row["digest"] for row in rows) - grids
    return Removed(grids, its_own, frozenset(run for receipt in known for run in receipt.runs))


def _read(path: Path) -> Receipt:
    try:
        return Receipt(**read_json(path))
    except TypeError as error:
        raise ValueError(f"{path} is no receipt ({error}): put it back with git") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
