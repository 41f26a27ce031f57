"""Where an adapter comes from, in one record: everything needed to name it, doubt it, and make it again.

python -m tasks run register && python -m json.tool data/version/version.json
"""

import hashlib
import json
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dopsd.weights.trained import FILE, FOLDER, is_whole
from tasks import weak_teacher
from tasks.folders import md5_of_file, read_json, read_yaml, sha256_of_file, sha256_of_folder, sha256_of_json
from tasks.git import said_if_it_can
from tasks.params import Params, resolved
from tasks.pipeline import Room
from tasks.planning import staleness
from tasks.versions.ledger import LEDGER

ENVIRONMENT_LOCK = "constraints.txt"
DVC_LOCK = "dvc.lock"
TRIGGER = "DOPSD_TRIGGER"
"""What starts a run says in this variable what it is: "schedule nightly", "12 new images"."""
_NOT_CODE = (DVC_LOCK, "data", str(LEDGER))


@dataclass(frozen=True)
class Lineage:
    """What made a version. Digests of folders are DVC's (`<md5>.dir`), the others are sha256.

    `git_commit` is None outside of git; `is_git_clean` leaves out dvc.lock, data/ and the ledger. `base` and the other
    `models` are `name@digest of the folder`, or the folder's commit on the hub where it was fetched from there.
    `dvc_lock` is the digest of what dvc.lock says of all stages before this one. `upstream` is "stale" where a person
    accepted inputs that were not up to date.
    """

    git_commit: str | None
    is_git_clean: bool | None
    dataset: str
    num_images: int
    captions: str
    embeddings: str
    base: str
    models: Mapping[str, str]
    parent: str
    params: Mapping[str, Any]
    environment_lock: str | None
    dvc_lock: str | None
    adapter: str
    scores: Mapping[str, Any]
    is_weak_teacher_accepted: bool
    upstream: str


def lineage(params: Params, room: Room, root: Path) -> Lineage:
    """Gather the record from the workspace as it is now; the stages before have run in it."""
    lock = _lock(root)
    models = {name: weights_of(Path(getattr(params.models, name)), lock) for name in ("base", "vlm", "dino", "clip")}
    commit, is_clean = _git(root)
    return Lineage(
        git_commit=commit,
        is_git_clean=is_clean,
        dataset=dvc_digest(room.reads["images"]),
        num_images=read_json(room.reads["images"] / "manifest.json")["counts"]["images"],
        captions=dvc_digest(room.reads["captions"]),
        embeddings=dvc_digest(room.reads["embeddings"]),
        base=models["base"],
        models=models,
        parent=params.train.parent,
        params=resolved(params),
        environment_lock=_digest_if_there(root / ENVIRONMENT_LOCK),
        dvc_lock=sha256_of_json({name: row for name, row in lock.items() if name != "register"}) if lock else None,
        adapter=digest_of_trained(room.reads["adapter"]),
        scores=read_json(room.reads["scores"] / "scores.json"),
        is_weak_teacher_accepted=weak_teacher.is_weak(room.reads["probe"]),
        upstream=staleness.upstream(room.reads.values()),
    )


def digest_of_trained(folder: Path) -> str:
    """Digest what training wrote: the file of an adapter, or the folder of all weights."""
    return sha256_of_folder(folder / FOLDER) if is_whole(folder) else sha256_of_file(folder / FILE)


def person() -> str:
    """Name who is at work, as this machine knows them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"


def trigger() -> str:
    """Say what started this run: what started it says so itself, else it was a person."""
    return os.environ.get(TRIGGER) or "a person"


def dvc_digest(folder: Path) -> str:
    """Digest a folder as DVC does, 36 characters: the md5 of the list of its files' md5 and paths, and ".dir"."""
    paths = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    rows = [{"md5": md5_of_file(path), "relpath": name} for name, path in paths]
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def weights_of(folder: Path, lock: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Name a model's weights; where `lock` has DVC's digest of the stages' inputs they are not read again."""
    fetched = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    for index in (fetched, fetched.with_name("model_index.json.metadata")):
        if index.is_file():
            return f"{folder.name}@{index.read_text().split()[0]}"
    known = {dep["path"]: dep.get("md5") for row in lock.values() for dep in row.get("deps", [])}
    return f"{folder.name}@{known.get(str(folder)) or dvc_digest(folder)}"


def _lock(root: Path) -> dict[str, Any]:
    """Read the stages of dvc.lock; none where the stages were run without DVC."""
    path = root / DVC_LOCK
    return dict(read_yaml(path)["stages"]) if path.is_file() else {}


def _git(root: Path) -> tuple[str | None, bool | None]:
    """Ask git for the commit, and whether all code is in it; (None, None) where there is no repository."""
    commit = said_if_it_can(root, "rev-parse", "HEAD")
    if commit is None:
        return None, None
    changed = said_if_it_can(root, "status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in _NOT_CODE))
    return commit, changed == ""


def _digest_if_there(path: Path) -> str | None:
    return sha256_of_file(path) if path.is_file() else None
