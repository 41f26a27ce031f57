"""What came of each base: the versions that were trained on it itself, and all that were made on it.

>>> roots(Path(), "dopsd").bases[0].made  # ["v2", "v3"]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.bases import Base, bases
from tasks.ancestry.records import BASE, Record, records
from tasks.ancestry.tree import descendants


@dataclass(frozen=True)
class Root:
    """A base by its name and digest, the versions that it is, and those that came of it.

    One that was used before bases were versions is none yet; one that was deleted in MLflow and entered anew is
    several. `begun` were trained on it itself; `made` say that they were made on it, or descend from one that does.
    The newest version of all was made on the one that `is_current`, which the alias `base` in MLflow names.
    """

    base: str
    is_current: bool
    versions: list[Base]
    begun: list[str]
    made: list[str]


@dataclass(frozen=True)
class Roots:
    """Bases, in the order of their versions; those that are none yet come last."""

    bases: list[Root]


def roots(root: Path, model: str, version: str = BASE) -> Roots:
    """Find all bases of a model and what came of each; or the one alone that `version` is."""
    known, entered = records(root, model), bases(root, model)
    told = [str(record.lineage["base"]) for record in known.values()]
    names = dict.fromkeys([*(one.base for one in entered.values()), *told])
    wanted = names if version == BASE else [entered[version].base]
    return Roots([_root(name, known, list(entered.values()), is_current=told[-1:] == [name]) for name in wanted])


def _root(name: str, known: Mapping[str, Record], entered: list[Base], *, is_current: bool) -> Root:
    own = {version for version, record in known.items() if record.lineage["base"] == name}
    family = own.union(descendants(known, own))
    return Root(
        name,
        is_current,
        versions=[one for one in entered if one.base == name],
        begun=[version for version in known if version in own and known[version].parent == BASE],
        made=[version for version in known if version in family],
    )
