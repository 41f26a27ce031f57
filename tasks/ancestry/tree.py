"""One version's place among all: what it was made of, whom it descends from, what came of it, and what serves of that.

>>> tree(Path(), "dopsd", "v7")
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.bases import bases
from tasks.ancestry.index import Image, opened
from tasks.ancestry.records import BASE, Record, records
from tasks.versions import ledger


@dataclass(frozen=True)
class Tree:
    """A version with its images, those `added` and `removed` against its parent, its ancestors and its descendants.

    `ancestors` begin with the parent and end with "base", or with the first of which nothing is known; `descendants`
    are in order of their number. `aliases` say which of all these versions serve as what, `verdicts` what the gate
    said of them last.
    """

    record: Record
    images: list[Image]
    added: list[Image]
    removed: list[Image]
    ancestors: list[str]
    descendants: list[str]
    aliases: Mapping[str, str]
    verdicts: Mapping[str, str]


def tree(root: Path, model: str, version: str) -> Tree:
    """Find a version's place; `version` may be an alias. Raises ValueError where there is no such version."""
    known, decided = records(root, model), ledger.of_model(ledger.read(root), model)
    live = aliases(decided)
    record = chosen(root, model, known, version)
    parent = known.get(record.parent)
    with opened(root, known) as index:
        added, removed = index.difference(record.images, parent.images if parent else None)
        images = index.images_of(record.images)
    line, family = ancestors(known, record.version), descendants(known, {record.version})
    related = {record.version, *line, *family}
    return Tree(
        record, images, added, removed, line, family,
        {alias: holder for alias, holder in live.items() if holder in related},
        {entry.version: entry.verdict for entry in decided if entry.verdict and entry.version in related},
    )  # fmt: skip


def chosen(root: Path, model: str, known: Mapping[str, Record], version: str) -> Record:
    """Look up a version that was trained, or the one that holds an alias; raises ValueError saying what there is."""
    name = aliases(ledger.of_model(ledger.read(root), model)).get(version, version)
    if name not in known:
        raise ValueError(_lacking(root, model, known, name))
    return known[name]


def _lacking(root: Path, model: str, known: Mapping[str, Record], name: str) -> str:
    """Say of what is no version that was trained what it is, and what there is."""
    if name == BASE or name in bases(root, model):
        what = f"{name} {'names' if name == BASE else 'is'} a base of {model}"
        return f"{what}, which has no training to compare or make again: `dopsd lineage base` tells of it"
    there = ", ".join(known) or "none: `dopsd run` in a git repository keeps one"
    what = f"nobody is {name}" if name in ledger.ALIASES else f"there is no record of {name}"
    return f"{what} of {model}; there is {there}"


def aliases(decided: list[ledger.Entry]) -> dict[str, str]:
    """Say which version serves as what, by the last entry of the ledger."""
    said = {alias: getattr(decided[-1], alias) for alias in ledger.ALIASES} if decided else {}
    return {alias: version for alias, version in said.items() if version}


def ancestors(known: Mapping[str, Record], version: str) -> list[str]:
    """List whom a version descends from, its parent first; ends at the base, or where the record ends."""
    line = [known[version].parent]
    while line[-1] in known and line[-1] not in line[:-1]:
        line.append(known[line[-1]].parent)
    return line


def descendants(known: Mapping[str, Record], versions: set[str]) -> list[str]:
    """List all that were trained on from any of `versions`, over any number of generations."""
    found: list[str] = []
    reached = set(versions)
    for version, record in known.items():  # a child has a higher number than its parent
        if record.parent in reached and version not in reached:
            reached.add(version)
            found.append(version)
    return found


def is_rooted(line: list[str]) -> bool:
    """Tell whether a line of ancestors ends at the base."""
    return line[-1:] == [BASE]
