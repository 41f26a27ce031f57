"""The records of all versions that were trained, read from git alone: what each was made of, and which files say so.

>>> records(Path(), "dopsd")["v7"].lineage["dataset"]
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.git import said, said_if_it_can
from tasks.versions.version_commit import LOCK, RECORD, locked, tag

IMAGES, CAPTIONS, LINEAGE = "images.jsonl", "captions.jsonl", "lineage.json"
BASE, OF_BASE = "base", "base.json"
"""What the base is called, and the file in the commit of a version that is one (`tasks.ancestry.bases`)."""


@dataclass(frozen=True)
class Record:
    """A version; `images` and `captions` name what git keeps of its dataset: equal names, equal content."""

    version: str
    commit: str
    images: str | None
    captions: str | None
    run_id: str
    entered: Mapping[str, str]
    lineage: Mapping[str, Any]

    @property
    def parent(self) -> str:
        """Name what it was trained on from: a version, or "base"."""
        return str(self.lineage["parent"])


def records(root: Path, model: str) -> dict[str, Record]:
    """Read all that are tagged, the lowest number first; none outside of git.

    Raises ValueError naming a tag that leads to no record.
    """
    commits = tagged(root, model)
    if not commits:
        return {}
    prefix = said(root, "rev-parse", "--show-prefix")
    names = {
        version: [f"{commit}:{prefix}{RECORD}/{file}" for file in (LINEAGE, IMAGES, CAPTIONS, OF_BASE)]
        for version, commit in commits.items()
    }
    blobs = contents(root, [name for files in names.values() for name in files], is_read=False)
    told = contents(root, [blobs[lineage][0] for lineage, *_ in names.values() if lineage in blobs])
    found = {}
    for version, files in names.items():
        lineage, images, captions, base = (blobs.get(name, (None, b""))[0] for name in files)
        if lineage:
            found[version] = _record(version, commits[version], images, captions, json.loads(told[lineage][1]))
        elif base is None:
            raise ValueError(
                f"the tag {tag(model, version)} leads to no record that git can read: fetch what git has lost from "
                "where it was pushed to, or delete the tag"
            )
    return found


def tagged(root: Path, model: str) -> dict[str, str]:
    """Name the commits of all versions that are tagged, the lowest number first; other tags are people's own."""
    asked = f"refs/tags/{tag(model, '')}"
    listed = said_if_it_can(root, "for-each-ref", "--format=%(refname:lstrip=-1) %(objectname)", asked) or ""
    named = dict(line.split(" ") for line in listed.splitlines())
    return {version: named[version] for version in in_order(name for name in named if name[1:].isdigit())}


def in_order(versions: Iterable[str]) -> list[str]:
    """Sort the names of versions by their numbers: v2 comes before v10."""
    return sorted(versions, key=lambda version: int(version.removeprefix("v")))


def change(root: Path, ours: Record, theirs: Record) -> tuple[int, int]:
    """Count the images that `ours` has and `theirs` has not, and the other way round; pixels decide."""
    blobs = [record.images for record in (ours, theirs) if record.images]
    known = contents(root, blobs)
    new, old = (
        {row["id"] for row in lines(known[blob][1])} if blob else set() for blob in (ours.images, theirs.images)
    )
    return len(new - old), len(old - new)


def stages(root: Path, record: Record) -> Mapping[str, Any]:
    """Read what DVC recorded of the stages that made a version; raises ValueError where they ran without DVC."""
    found = locked(root, record.commit)
    if found is None:
        raise ValueError(f"the commit of {record.version} holds no {LOCK}: its stages ran without DVC, nothing is kept")
    return found


def texts(root: Path, commit: str, *files: str) -> dict[str, str]:
    """Read files of the folder `lineage` as the commit of a version holds them; what is not there is left out."""
    below = said(root, "rev-parse", "--show-prefix")
    named = {f"{commit}:{below}{RECORD}/{file}": file for file in files}
    return {named[name]: text.decode() for name, (_, text) in contents(root, named).items()}


def spelled(told: Mapping[str, Any]) -> str:
    """Spell the record of a version out, as `lineage.json` has it."""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, indent=2) + "\n"


def lines(text: bytes) -> list[dict[str, Any]]:
    """Read the rows of a JSON Lines file that git keeps."""
    return [json.loads(line) for line in text.decode().split("\n") if line]


def contents(root: Path, names: Iterable[str], *, is_read: bool = True) -> dict[str, tuple[str, bytes]]:
    """Give the name and the bytes of objects by what they are asked for; what is not there is left out.

    With `is_read` false the bytes are not read.
    """
    asked = list(names)
    how = "--batch" if is_read else "--batch-check"
    given = "".join(f"{name}\n" for name in asked).encode()
    answer = subprocess.run(["git", "cat-file", how], cwd=root, input=given, capture_output=True, check=True).stdout
    found, at = {}, 0
    for name in asked:
        end = answer.index(b"\n", at)
        words = answer[at:end].decode().rsplit(" ", 2)
        at = end + 1
        if words[-1] == "missing":
            continue
        size = int(words[2]) if is_read else 0
        found[name] = (words[0], answer[at : at + size])
        at += size + 1 if is_read else 0
    return found


def _record(version: str, commit: str, images: str | None, captions: str | None, said: Mapping[str, Any]) -> Record:
    return Record(version, commit, images, captions, said["mlflow_run_id"], said["entered"], said["lineage"])
