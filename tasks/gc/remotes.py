"""DVC's remotes that a person names: the objects there that nothing known here asks for, and parcels left behind.

>>> list(remote_objects(repo, roots, ["storage"]))

Others push there, too, so that the branches of other clones count as well, as far as `git fetch` brought them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from tasks.errands.parcel import left
from tasks.gc.objects import lists_first, needed
from tasks.gc.piece import Piece
from tasks.gc.roots import Roots
from tasks.git import said_if_it_can
from tasks.takedown.receipt import removed

_WHY = "no branch that was fetched, no kept version and no run needs it"


def remote_objects(repo: Repo, roots: Roots, names: Sequence[str]) -> Iterator[Piece]:
    """List what may go from the remotes of these names: first lists of files, then files.

    Raises ValueError for a name that is none, and where nobody can tell which files a needed folder has; what DVC
    raises where a remote cannot be reached.
    """
    if unknown := [name for name in names if name not in repo.config["remote"]]:
        known = ", ".join(repo.config["remote"]) or "none"
        raise ValueError(f"--remote {unknown[0]}: DVC knows no such remote; there is {known}")
    stores = {name: repo.cloud.get_remote_odb(name) for name in names}
    wanted = _wanted(repo, roots) if stores else set()
    for name, store in stores.items():
        there = set(store.all()) if store.fs.exists(store.path) else set()
        for digest in lists_first(there - wanted):
            path = store.oid_to_path(digest)
            if store.fs.modified(path).timestamp() < roots.recent:
                yield Piece("remote object", f"{name} {digest}", store.fs.size(path), _WHY)


def parcels(repo: Repo, roots: Roots, names: Sequence[str]) -> Iterator[Piece]:
    """List what shards sent and nobody took."""
    for name in names:
        store = repo.cloud.get_remote_odb(name, hash_name="md5-dos2unix")
        for path in left(store):
            if store.fs.modified(path).timestamp() < roots.recent:
                yield Piece("parcel", f"{name} {path}", store.fs.size(path), "the run that waited for it is gone")


def take_away(repo: Repo, piece: Piece) -> None:
    """Remove an object or a parcel from the remote that it lies in; one that is gone is no mistake."""
    if piece.kind == "parcel":
        name, _, path = piece.name.partition(" ")
        fs = repo.cloud.get_remote_odb(name).fs
        if fs.exists(path):
            fs.remove(path)
        return
    name, _, digest = piece.name.rpartition(" ")
    store = repo.cloud.get_remote_odb(name)
    if store.exists(digest):
        store.delete(digest)


def _wanted(repo: Repo, roots: Roots) -> set[str]:
    """Gather all that is asked for, and of folders their files, as the cache or any remote lists them."""
    root = Path(repo.root_dir)
    branches = said_if_it_can(root, "for-each-ref", "--format=%(objectname)", "refs/remotes/") or ""
    asked = needed(repo, replace(roots, commits=tuple({*roots.commits, *branches.splitlines()})))
    places = [repo.cache.local, *(repo.cloud.get_remote_odb(name) for name in repo.config["remote"])]
    lost = removed(root).of(None)
    files = (_files(digest, places) for digest in asked if digest.endswith(".dir") and digest not in lost)
    return asked.union(*files)


def _files(digest: str, places: Sequence[Any]) -> set[str]:
    """Read which files a folder has; raises ValueError where no place holds its list."""
    for place in places:
        if place.exists(digest):
            with place.fs.open(place.oid_to_path(digest), "rb") as file:
                return {row["md5"] for row in json.load(file)}
    raise ValueError(
        f"{digest} is neither in DVC's cache nor in a remote, so nobody can tell which files it needs, and nothing is "
        "removed from a remote: `dopsd audit` names the version that lost it"
    )
