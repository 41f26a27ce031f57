"""The ledger: every decision on which version serves, a line each, chained by digests; no line is changed or taken out.

    dopsd champion --at 2026-10-01

It is ledger.jsonl in the root, one for all worktrees of a repository and of no branch, as the aliases are.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from tasks.folders import sha256_of_json
from tasks.git import said_if_it_can

LEDGER = Path("ledger.jsonl")
ALIASES = ("champion", "challenger")
"""What decisions are about: each entry says who holds them."""
_FIRST = "0" * 64
Action = Literal["decide", "shadow", "promote", "rollback", "takedown", "found", "gc"]


@dataclass(frozen=True)
class Entry:
    """One decision, and which versions hold the aliases after it.

    "decide" is the gate's, with its `verdict`; "shadow" is that, too, and moved nothing; "promote" and "rollback" are a
    person's; "takedown" takes the aliases from versions that learnt from a picture which is taken down; "found"
    enters an alias that was set outside; "gc" gives up all that is kept of a version but its record. `rival` is the
    champion that the gate compared with, `evidence` what it went by, by sha256. `at` is in UTC.
    """

    model: str
    action: Action
    version: str
    by: str
    reason: str
    champion: str | None
    challenger: str | None
    verdict: str | None = None
    rival: str | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    at: str = ""
    previous: str = _FIRST
    digest: str = ""


@dataclass
class Ledger:
    """The ledger while it is held: what it says, and the way to add to it."""

    entries: list[Entry]
    _file: IO[bytes]

    def append(self, entry: Entry) -> Entry:
        """Add one decision, numbered, dated and chained to the one before; it is on disk when this returns."""
        last = self.entries[-1] if self.entries else None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        at = max(now, last.at) if last else now  # a clock that was set back must not reorder history
        chained = replace(entry, number=len(self.entries) + 1, at=at, previous=last.digest if last else _FIRST)
        chained = replace(chained, digest=_digest(chained))
        self._file.write(_line(chained))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.entries.append(chained)
        return chained

    def text(self) -> str:
        """Spell all of it out, as the file has it."""
        return until(self.entries, len(self.entries))


def located(root: Path) -> Path:
    """Say where the ledger of a workspace lies: in the main worktree of its repository, as aliases are one for all."""
    answer = said_if_it_can(root, "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-prefix")
    if answer is None:
        return root / LEDGER
    common, _, prefix = answer.partition("\n")
    main = Path(common).parent / prefix.strip()
    return (main if Path(common).name == ".git" and main.is_dir() else root) / LEDGER


def read(root: Path) -> list[Entry]:
    """Read the whole ledger, oldest first, none where there is no file yet; raises ValueError naming a broken line."""
    path = located(root)
    return _verified(path.read_bytes(), path) if path.is_file() else []


def until(entries: Sequence[Entry], number: int) -> str:
    """Spell the whole ledger out as it was when the entry of this number was its end."""
    return b"".join(_line(one) for one in entries[:number]).decode()


@contextmanager
def held(root: Path) -> Iterator[Ledger]:
    """Hold the ledger for one decision; others of this machine wait until it is made."""
    path = located(root)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        said = file.read()
        entries = _verified(said, path)
        file.truncate(said.rfind(b"\n") + 1)  # half a line, left by a crash: nothing followed from it
        yield Ledger(entries, file)


def of_model(entries: Sequence[Entry], model: str) -> list[Entry]:
    """Choose the decisions on one model."""
    return [entry for entry in entries if entry.model == model]


def _verified(said: bytes, path: Path) -> list[Entry]:
    """Read entries and follow the chain; a last line that was cut short is left out."""
    entries: list[Entry] = []
    previous = _FIRST
    for number, line in enumerate(said.split(b"\n")[:-1], start=1):
        try:
            entry = Entry(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number} is no entry ({error}): {MEND}") from error
        if (entry.number, entry.previous, entry.digest) != (number, previous, _digest(entry)):
            raise ValueError(f"{path}, line {number} was changed, or one before it is gone: {MEND}")
        entries.append(entry)
        previous = entry.digest
    return entries


MEND = "put back ledger.jsonl from a backup, or from record/ledger.jsonl of the run that was decided on last in MLflow"


def _digest(entry: Entry) -> str:
    return sha256_of_json({key: value for key, value in asdict(entry).items() if key != "digest"})


def _line(entry: Entry) -> bytes:
    return (json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True) + "\n").encode()
