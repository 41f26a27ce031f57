"""The bases that all versions begin at, read from git alone: a base is a version, too, and nothing was trained for it.

>>> bases(Path(), "dopsd")["v1"].base  # "tiny-z-image@5d0c...dir"
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.records import BASE, OF_BASE, contents, records, tagged
from tasks.git import said
from tasks.versions.version_commit import RECORD


@dataclass(frozen=True)
class Base:
    """A version that is a base; `base` is its name and digest as each record tells it, `folder` where it lay."""

    version: str
    commit: str
    base: str
    folder: str
    family: str
    entered: Mapping[str, str]


@dataclass(frozen=True)
class Roots:
    """What all versions begin at: by name and digest of each base, those trained on it itself, and all made on it.

    `versions` names the versions that the bases are; one that was used before bases were versions has none.
    """

    begun: Mapping[str, list[str]]
    made: Mapping[str, list[str]]
    versions: Mapping[str, list[str]]


def bases(root: Path, model: str) -> dict[str, Base]:
    """Read all versions that are bases, the lowest number first; none outside of git."""
    commits = tagged(root, model)
    if not commits:
        return {}
    prefix = said(root, "rev-parse", "--show-prefix")
    names = {f"{commit}:{prefix}{RECORD}/{OF_BASE}": version for version, commit in commits.items()}
    told = {names[name]: json.loads(text) for name, (_, text) in contents(root, names).items()}
    return {
        version: Base(version, commits[version], **{key: row[key] for key in ("base", "folder", "family", "entered")})
        for version, row in told.items()
    }


def roots(root: Path, model: str) -> Roots:
    """Find the bases of a model's versions, and what came of each."""
    begun: dict[str, list[str]] = {}
    made: dict[str, list[str]] = {}
    versions: dict[str, list[str]] = {}
    for version, record in records(root, model).items():
        made.setdefault(record.lineage["base"], []).append(version)
        if record.parent == BASE:
            begun.setdefault(record.lineage["base"], []).append(version)
    for version, known in bases(root, model).items():
        versions.setdefault(known.base, []).append(version)
    return Roots(begun, made, versions)
