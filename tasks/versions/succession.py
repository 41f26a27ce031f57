"""Who was champion when, read from the ledger alone.

>>> champion_at("dopsd", "2026-10-01", Path()).champion
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from itertools import groupby
from pathlib import Path

from tasks.versions import ledger
from tasks.versions.ledger import Entry


def succession(entries: Sequence[Entry]) -> list[str]:
    """List the champions, the present one last; those rolled back, taken down or given up are not among them."""
    line: list[str] = []
    for entry in entries:
        if entry.action in ("rollback", "takedown"):
            while line and line[-1] != entry.champion:
                line.pop()
        if entry.action == "gc":
            line = [version for version, _ in groupby(other for other in line if other != entry.version)]
        elif entry.champion and entry.champion != (line[-1] if line else None):
            line.append(entry.champion)
    return line


def given_up(entries: Sequence[Entry]) -> set[str]:
    """Name the versions of which `dopsd gc` left the record alone."""
    return {entry.version for entry in entries if entry.action == "gc"}


def champion_at(name: str, when: str | None, root: Path) -> Entry | None:
    """Find the move that made the champion of a time, in UTC, a day meaning its end; None before the first.

    Now, where `when` is None. Raises ValueError where it is no time.
    """
    entries = ledger.of_model(ledger.read(root), name)
    moment = _moment(when) if when else "9"
    return crowned([row for row in entries if row.at.removesuffix("+00:00") <= moment])


def crowned(entries: Sequence[Entry]) -> Entry | None:
    """Find the entry since which the last champion is champion; None where nobody is."""
    found: Entry | None = None
    for entry in entries:
        if found is None or entry.champion != found.champion:
            found = entry
    return found if found and found.champion else None


def _moment(when: str) -> str:
    """Spell a day or a time as the ledger does, to compare by the letter."""
    try:
        return datetime.combine(date.fromisoformat(when), time.max).isoformat()
    except ValueError:
        pass
    try:
        said = datetime.fromisoformat(when)
    except ValueError as error:
        raise ValueError(f"{when} is no time: write a day, 2026-10-01, or a time in UTC, 2026-10-01T12:00") from error
    return (said.astimezone(UTC) if said.tzinfo else said).replace(tzinfo=None).isoformat()
