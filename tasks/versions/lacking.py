"""What a registry has lost of what git and the ledger know, and whether it can come back under its numbers.

>>> lacking(Path(), "dopsd").missing  # ["v2", "v3"]
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.bases import Base, bases
from tasks.ancestry.records import Record, in_order, records
from tasks.versions import ledger, registry
from tasks.versions.ledger import Entry
from tasks.versions.succession import given_up


@dataclass(frozen=True)
class Lacking:
    """What git has on record, and the `numbers` that the registry lacks of it, the lowest first.

    `there` is what the registry has, whole or in part; `given_up` are versions whose numbers alone come back. `book` is
    the whole ledger, `entries` what it says of this model.
    """

    records: Mapping[str, Record]
    bases: Mapping[str, Base]
    there: frozenset[str]
    numbers: Sequence[str]
    given_up: frozenset[str]
    book: Sequence[Entry]
    entries: Sequence[Entry]

    @property
    def missing(self) -> list[str]:
        """Name what is to be entered."""
        return [version for version in self.numbers if version not in self.given_up]

    def decision(self, version: str) -> Entry:
        """Give the gate's last decision on a version."""
        return [entry for entry in self.entries if entry.version == version and entry.verdict][-1]

    def ledger(self, version: str) -> str:
        """Spell the ledger out as it was after the last decision on a version."""
        return ledger.until(self.book, [entry.number for entry in self.entries if entry.version == version][-1])


def lacking(root: Path, model: str) -> Lacking:
    """Compare the registry with git and the ledger.

    Raises ValueError naming a version of which the ledger says nothing, or whose number MLflow would give no second
    time. A base of such a number is left out: it is entered anew, under another one.
    """
    known, begun, book = records(root, model), bases(root, model), ledger.read(root)
    entries = [entry for entry in ledger.of_model(book, model) if entry.action != "found"]
    if silent := known.keys() - {entry.version for entry in entries if entry.verdict}:
        raise ValueError(f"the ledger says nothing of {in_order(silent)[0]}: {ledger.MEND}")
    tags, gone = registry.versions(model) | registry.bases(model), given_up(entries)
    wanted = [version for version in in_order({*known, *begun}) if "commit" not in tags.get(version, {})]
    passed = _passed(tags.keys(), wanted)
    if lost := [version for version in passed if version in known and version not in gone]:
        raise ValueError(f"MLflow gives {lost[0]} no second time: restore into an empty mlflow.db, numbers stay")
    numbers = [version for version in wanted if version not in passed]
    numbers = numbers if set(numbers) - gone else []
    return Lacking(known, begun, frozenset(tags), numbers, frozenset(gone), book, entries)


def _passed(there: Collection[str], wanted: Sequence[str]) -> list[str]:
    """Name the versions that are gone whose numbers MLflow has passed: it has others after them."""
    last = in_order({*there, "v0"})[-1]
    return [version for version in wanted if version not in there and in_order({version, last})[-1] == last]
