"""The picture among DVC's objects: in the cache, and in every remote.

>>> objects(Path(), wanted, known)

A list of files names what was made of it; a grid shows it where the stage that drew it had read such a folder. Whatever
a lock, a version's commit or the run-cache remembers is followed, so that folders of no version are found, too.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from dvc.repo import Repo
from dvc.stage.cache import StageCache

from tasks.ancestry.records import Record
from tasks.errands.parcel import left, pictures
from tasks.git import said_if_it_can
from tasks.pipeline import PLACES
from tasks.takedown.trace import Trace
from tasks.takedown.wanted import Wanted
from tasks.versions.version_commit import LOCK

_DRAWN = (PLACES["probe"], PLACES["scores"])
Files = Mapping[str, str]
"""Digests by the names that a list of files gives them."""


def objects(root: Path, wanted: Wanted, known: Mapping[str, Record]) -> list[Trace]:
    """Find what cache and remotes hold of it; raises what DVC raises for a remote that cannot be reached."""
    with Repo(str(root)) as repo:
        stores = {"DVC cache": repo.cache.local}
        stores |= {f"DVC remote {name}": repo.cloud.get_remote_odb(name) for name in repo.config["remote"]}
        lists = {digest: files for store in stores.values() for digest, files in _lists(store)}
        found = {
            digest: name
            for files in lists.values()
            for name, digest in files.items()
            if wanted.is_named_in(name) or _is_source(name, digest, wanted, stores)
        }
        hit = {one for one, files in lists.items() if found.keys() & set(files.values())}
        runs = Path(StageCache(repo).cache_dir)
        for stage in _remembered(root, runs, known):
            found |= _grids(stage, hit, lists)
        kept = [
            Trace(place, f"{digest} ({name})", digest, partial(store.delete, digest))
            for place, store in stores.items()
            for digest, name in sorted(found.items())
            if store.exists(digest)
        ]
        return kept + [trace for name in repo.config["remote"] for trace in _parcels(name, repo, wanted)]


def _parcels(name: str, repo: Repo, wanted: Wanted) -> Iterator[Trace]:
    """Look into what is on its way between machines, or was left there."""
    store = repo.cloud.get_remote_odb(name, hash_name="md5-dos2unix")
    for path in left(store):
        with store.fs.open(path, "rb") as file:
            may_show_it = path.endswith(".tar") and pictures(file) & {*wanted.ids, ""}
        if may_show_it:
            with store.fs.open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield Trace(f"DVC remote {name}", path, digest, partial(store.fs.remove, path))


def _lists(store: Any) -> Iterator[tuple[str, Files]]:
    """Read every list of files that a store holds."""
    if not store.fs.exists(store.path):
        return
    for digest in store.all():
        if digest.endswith(".dir"):
            with store.fs.open(store.oid_to_path(digest), "rb") as file:
                yield digest, {row["relpath"]: row["md5"] for row in json.load(file)}


def _is_source(name: str, digest: str, wanted: Wanted, stores: Mapping[str, Any]) -> bool:
    """Tell whether a file is the picture as its owner brought it: one of its names, and then its bytes."""
    if PurePosixPath(name).name not in {PurePosixPath(source).name for source in wanted.sources}:
        return False
    for store in stores.values():
        if store.exists(digest):
            with store.fs.open(store.oid_to_path(digest), "rb") as file:
                return wanted.is_it(file.read())
    return False


def _remembered(root: Path, runs: Path, known: Mapping[str, Record]) -> Iterator[Mapping[str, Any]]:
    """List the stages that some lock or the run-cache knows, with what they read and wrote."""
    prefix = said_if_it_can(root, "rev-parse", "--show-prefix") or ""
    texts = [path.read_text() for path in (root / LOCK, *(root / "runs/recorded").glob(f"*/{LOCK}")) if path.is_file()]
    texts += [said_if_it_can(root, "show", f"{record.commit}:{prefix}{LOCK}") or "" for record in known.values()]
    for text in texts:
        yield from ((yaml.safe_load(text) or {}).get("stages") or {}).values()
    for path in runs.glob("*/*/*"):
        yield yaml.safe_load(path.read_text()) or {}


def _grids(stage: Mapping[str, Any], hit: set[str], lists: Mapping[str, Files]) -> dict[str, str]:
    """Find the grid that a stage drew of a folder that holds the picture."""
    if not hit & {str(dep.get("md5")) for dep in stage.get("deps", [])}:
        return {}
    drawn = [
        (out["path"], lists.get(str(out.get("md5")), {})) for out in stage.get("outs", []) if out["path"] in _DRAWN
    ]
    return {files["grid.png"]: f"{path}/grid.png" for path, files in drawn if "grid.png" in files}
