"""DVC's cache: the objects that no commit, no lock file and no version that stays asks for.

>>> list(objects(repo, roots))

DVC itself says what a commit needs, as `dvc gc` would; it is told which commits, as it can only take all tags or none.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo
from dvc.stage.cache import StageCache

from tasks.gc.piece import Piece, piece, touched
from tasks.gc.roots import Roots

_WHY = "no branch, no kept version and no run needs it"


def objects(repo: Repo, roots: Roots) -> Iterator[Piece]:
    """List what may go: first the notes of the run cache, then lists of files, then files.

    Raises ValueError where DVC cannot read what a commit needs.
    """
    asked = needed(repo, roots)
    there = {f"{path.parent.name}{path.name}": path for path in Path(repo.cache.local.path).glob("??/*")}
    going = {digest: path for digest, path in there.items() if digest not in asked and touched(path) < roots.recent}
    for path in _notes(repo, going):
        yield piece("run cache", path, "what it would bring back goes")
    for digest in lists_first(going):
        yield piece("object", going[digest], _WHY)


def lists_first(digests: Iterable[str]) -> list[str]:
    """Put lists of files before files: half of a folder is never found under its name."""
    return sorted(digests, key=lambda digest: (not digest.endswith(".dir"), digest))


def needed(repo: Repo, roots: Roots) -> set[str]:
    """Gather the digests that commits and lock files ask for; raises ValueError where DVC cannot read a commit."""
    try:
        digests = {*_asked(repo), *(digest for commit in roots.commits for digest in _of_commit(repo.root_dir, commit))}
    except DvcException as error:
        raise ValueError(f"DVC cannot tell what is needed ({error}), so nothing is removed: mend that first") from error
    for lock in roots.locks:
        digests.update(_of_lock(yaml.safe_load(lock.read_text(encoding="utf-8")), repo))
    return digests


@cache  # a commit stays as it is, and DVC takes a while to answer
def _of_commit(root: str, commit: str) -> frozenset[str]:
    with Repo(root) as repo:
        try:
            with repo.switch(commit):
                return _asked(repo)
        except NotDvcRepoError:  # of before there was a pipeline here
            return frozenset()


def _asked(repo: Repo) -> frozenset[str]:
    """Ask what lock files and .dvc files need; of a folder whose list is lost, nobody can tell the files."""
    found = repo.index.used_objs(force=True)
    folders = (out.hash_info.value for out in repo.index.outs if out.use_cache and out.is_dir_checksum)
    return frozenset([*(str(info.value) for used in found.values() for info in used), *folders])


def _of_lock(lock: Any, repo: Repo) -> Iterator[str]:
    """List what the outputs of a lock file need: objects, and of a folder its files."""
    for digest in _outs(lock["stages"].values()):
        yield digest
        path = Path(repo.cache.local.oid_to_path(digest))
        if digest.endswith(".dir") and path.is_file():
            yield from (row["md5"] for row in json.loads(path.read_bytes()))


def _notes(repo: Repo, going: Iterable[str]) -> Iterator[Path]:
    """List the entries of the run cache that lead to any of the objects."""
    known, lost = StageCache(repo), set(going)
    for path in sorted(Path(known.cache_dir).glob("*/*/*")):
        entry = known._load_cache(path.parent.name, path.name)  # DVC has no public way, and its version is pinned
        if entry and lost.intersection(_outs([entry])):
            yield path


def _outs(stages: Iterable[Any]) -> Iterator[str]:
    return (out["md5"] for stage in stages for out in stage.get("outs", []) if "md5" in out)
