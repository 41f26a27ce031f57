"""What a bundle tells of a version, gathered once, from git and the ledger alone.

>>> facts(Path(), "dopsd", "v7").libraries["torch"]  # "2.13.0"
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE, Record, contents, records
from tasks.ancestry.tree import chosen
from tasks.folders import sha256_of_bytes
from tasks.git import said
from tasks.versions.ledger import Entry, of_model, read
from tasks.versions.lineage import ENVIRONMENT_LOCK
from tasks.versions.version_commit import RECORD

PANEL, DECISIONS = "panel.txt", "decisions.jsonl"


@dataclass(frozen=True)
class Facts:
    """A version of a model: its record, the decisions on it, oldest first, and the libraries it was made with.

    `texts` are what git and the ledger keep of it, as files of the bundle by name: lineage, images, captions, the panel
    of new scenes and constraints.txt as far as there are such, and the decisions.
    """

    model: str
    record: Record
    decisions: list[Entry]
    libraries: Mapping[str, str]
    texts: Mapping[str, bytes]

    @property
    def base(self) -> tuple[str, str]:
        """Give the name and the revision of the base."""
        return named(self.record.lineage["base"])

    @property
    def scores(self) -> Mapping[str, Mapping[str, float | None]]:
        """Give what was measured of the version, a metric: mean, low, high and count."""
        measured: Mapping[str, Mapping[str, float | None]] = self.record.lineage["scores"]["models"].get("adapter", {})
        return measured


def facts(root: Path, model: str, version: str) -> Facts:
    """Gather them; raises ValueError where there is no record, or where the commit has another environment than it."""
    record = chosen(root, model, records(root, model), version)
    texts = _kept(root, record)
    lock = texts.get(ENVIRONMENT_LOCK)
    if (sha256_of_bytes(lock) if lock is not None else None) != record.lineage["environment_lock"]:
        raise ValueError(f"the commit of {version} has another {ENVIRONMENT_LOCK} than its record: ask `dopsd audit`")
    decisions = [entry for entry in of_model(read(root), model) if entry.version == version]
    rows = [json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True) + "\n" for entry in decisions]
    return Facts(model, record, decisions, _pins(lock or b""), {**texts, DECISIONS: "".join(rows).encode()})


def named(model: str) -> tuple[str, str]:
    """Take `name@revision` apart."""
    name, _, revision = model.rpartition("@")
    return name, revision


def _kept(root: Path, record: Record) -> dict[str, bytes]:
    """Read the files that the commit of a version has."""
    top = f"{record.commit}:{said(root, 'rev-parse', '--show-prefix')}"
    places = {name: f"{top}{RECORD}/{name}" for name in (LINEAGE, IMAGES, CAPTIONS)}
    places[ENVIRONMENT_LOCK] = f"{top}{ENVIRONMENT_LOCK}"
    places[PANEL] = f"{top}{record.lineage['params']['evaluate']['novel']}"
    known = contents(root, places.values())
    return {name: known[place][1] for name, place in places.items() if place in known}


def _pins(lock: bytes) -> dict[str, str]:
    """Read names and versions of libraries; remarks stand behind a #."""
    rows = [line.partition("#")[0].strip().split("==") for line in lock.decode().splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 2}
