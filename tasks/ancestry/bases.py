"""The bases that all versions begin at, read from git alone: a base is a version, too, and nothing was trained for it.

>>> bases(Path(), "dopsd")["v1"].base  # "tiny-z-image@5d0c...dir"
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.records import OF_BASE, contents, tagged
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
