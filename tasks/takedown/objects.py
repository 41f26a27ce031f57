"""The picture among DVC's objects: in the cache, and in every remote.

>>> objects(Path(), wanted, known, hit={"v3"}).traces

A list of files names what was made of it; a grid shows it where the stage that drew it had read such a folder. Whatever
a lock, a version's commit or the run-cache remembers is followed, so that folders of no version are found, too. What
somebody made without the picture and came out as the same bytes does not show it, and stays.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.repo import Repo
from dvc.stage.cache import StageCache

from tasks.ancestry.records import Record
from tasks.errands.parcel import left, pictures
from tasks.pipeline import PLACES
from tasks.takedown.remembered import Files, Remembered, Stage
from tasks.takedown.trace import GRID, Trace
from tasks.takedown.wanted import Wanted

_DRAWN = (PLACES["probe"], PLACES["scores"])


@dataclass(frozen=True)
class Found:
    """What is to go, and the digests of what stays, as it came out the same where nobody had read the picture."""

    traces: tuple[Trace, ...]
    others: frozenset[str]


def objects(root: Path, wanted: Wanted, known: Mapping[str, Record], hit: Collection[str]) -> Found:
    """Find what cache and remotes hold of it; raises what DVC raises for a remote that cannot be reached."""
    with Repo(str(root)) as repo:
        stores = {"DVC cache": repo.cache.local}
        stores |= {f"DVC remote {name}": repo.cloud.get_remote_odb(name) for name in repo.config["remote"]}
        lists = {digest: files for store in stores.values() for digest, files in _lists(store)}
        named = _named(lists, wanted, stores)
        stages = Remembered.of(root, known, Path(StageCache(repo).cache_dir))
        showing = {one for one, files in lists.items() if named.keys() & set(files.values())}
        clean = stages.without_it(lists, showing, known.keys() - set(hit))
        others = _of_others(clean, wanted, named)
        found = {one: name for one, name in named.items() if one not in others or _is_it(one, wanted, stores)}
        for stage in stages.all:
            found |= {one: name for one, name in _grids(stage, showing, lists).items() if one not in others}
        kept = [_trace(place, store, *row) for place, store in stores.items() for row in sorted(found.items())]
        sent = [trace for name in repo.config["remote"] for trace in _parcels(name, repo, wanted)]
        return Found((*filter(None, kept), *sent), others - found.keys())


def _trace(place: str, store: Any, digest: str, name: str) -> Trace | None:
    """Describe an object that a store holds; None where it does not."""
    if not store.exists(digest):
        return None
    path = Path(store.oid_to_path(digest)) if store.fs.protocol == "local" else None
    return Trace(place, f"{digest} ({name})", digest, partial(store.delete, digest), path)


def _named(lists: Mapping[str, Files], wanted: Wanted, stores: Mapping[str, Any]) -> dict[str, str]:
    """Find the files whose names say that they were made of it, and the picture itself where an owner's folder is."""
    return {
        digest: name
        for files in lists.values()
        for name, digest in files.items()
        if wanted.is_named_in(name) or _is_source(name, digest, wanted, stores)
    }


def _of_others(clean: Iterator[Files], wanted: Wanted, named: Collection[str]) -> frozenset[str]:
    """Digest the grids of folders that cannot show it, and what came out in them as it did of the picture."""
    return frozenset(
        digest
        for files in clean
        for name, digest in files.items()
        if (name == GRID or digest in named) and not wanted.is_named_in(name)
    )


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
    return _is_it(digest, wanted, stores)


def _is_it(digest: str, wanted: Wanted, stores: Mapping[str, Any]) -> bool:
    """Tell whether an object is the picture or a copy; one that is gone is not."""
    for store in stores.values():
        if store.exists(digest):
            with store.fs.open(store.oid_to_path(digest), "rb") as file:
                return wanted.is_it(file.read())
    return False


def _grids(stage: Stage, showing: set[str], lists: Mapping[str, Files]) -> dict[str, str]:
    """Find the grid that a stage drew of a folder that holds the picture."""
    if not showing & {str(dep.get("md5")) for dep in stage.get("deps", [])}:
        return {}
    drawn = [
        (out["path"], lists.get(str(out.get("md5")), {})) for out in stage.get("outs", []) if out["path"] in _DRAWN
    ]
    return {files[GRID]: f"{path}/{GRID}" for path, files in drawn if GRID in files}
