"""What a stage reads and writes on its way between machines: through DVC's remote, by digest.

    send("train", root)                                      (what it reads; then, on the other machine:)
    bring("train", reads, root); reproduce(...); send_outcome("train", root)          (and here again:)
    bring_outcome("train", root)                             (True: `dvc repro` takes it from the cache)

`dvc push --run-cache` would send every run that this machine remembers; one is what is asked for.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dvc.config import NoRemoteError
from dvc.dependency import ParamsDependency
from dvc.fs import generic
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.cache import _get_stage_hash
from dvc_data.hashfile.hash_info import HashInfo

from tasks.planning.known import known_stages

_MEND = "`dvc remote add --default NAME URL` names one that all machines reach"


def run_key(name: str, root: Path) -> str:
    """Give DVC's name for a run of the stage as `root` is now, 64 hex digits; DVC has no public way to ask."""
    with Repo(str(root)) as repo:
        return str(_get_stage_hash(_as_it_is(name, repo)))


def digests(name: str, root: Path) -> dict[str, str]:
    """Digest every file and folder that the stage reads, by path; DVC remembers those that it has seen."""
    with Repo(str(root)) as repo:
        deps = _as_it_is(name, repo).deps
        return {dep.def_path: str(dep.hash_info.value) for dep in deps if not isinstance(dep, ParamsDependency)}


def send(name: str, root: Path) -> None:
    """Put what earlier stages made and this one reads into the remote.

    Raises ValueError where there is none, ConnectionError where it does not take all.
    """
    reads = digests(name, root)
    with Repo(str(root)) as repo:
        for out in _made(reads, repo):
            _push(out.get_used_objs(), repo)


def bring(name: str, reads: Mapping[str, str], root: Path) -> None:
    """Lay out what earlier stages made as `reads` says it was; raises FileNotFoundError for what the remote lacks."""
    with Repo(str(root)) as repo:
        for out in _made(reads, repo):
            if out.changed_cache():
                _pull(out.get_used_objs(), repo)
            if out.changed_cache():
                raise FileNotFoundError(f"{name} needs {out.def_path}, and DVC's remote does not have {out.hash_info}")
            out.checkout(force=True)


def send_outcome(name: str, root: Path) -> None:
    """Put what the stage wrote into the remote, and after it the note of what it was made of; raises as `send` does."""
    with Repo(str(root)) as repo:
        known = known_stages(repo)[name]
        _push(known.get_used_objs(), repo)
        key = _get_stage_hash(known)
        notes, remote = Path(repo.stage_cache._get_cache_dir(key)), remote_of(repo, "md5-dos2unix")
        last = max(notes.iterdir(), key=lambda path: path.stat().st_mtime)
        there = remote.fs.join(remote.path, "runs", key[:2], key)
        before = remote.fs.find(there) if remote.fs.exists(there) else []
        generic.copy(repo.cache.legacy.fs, str(last), remote.fs, remote.fs.join(there, last.name))
        for path in before:  # of several runs that were made of the same, the last one counts
            if remote.fs.name(path) != last.name:
                remote.fs.remove(path)


def bring_outcome(name: str, root: Path) -> bool:
    """Take the outcome of a run of the same inputs from the remote into the cache; tells whether all of it is there."""
    with Repo(str(root)) as repo:
        mine, remote = _as_it_is(name, repo), remote_of(repo, "md5-dos2unix")
        key, notes = _get_stage_hash(mine), repo.stage_cache
        there = remote.fs.join(remote.path, "runs", key[:2], key)
        for path in remote.fs.find(there) if remote.fs.exists(there) else []:
            generic.copy(remote.fs, path, repo.cache.legacy.fs, notes._get_cache_path(key, remote.fs.name(path)))
        found = notes._load(mine)
        if not found:
            return False
        made = notes._create_stage(found, wdir=mine.wdir)
        _pull(made.get_used_objs(), repo)
        return bool(made.outs_cached())


def _as_it_is(name: str, repo: Repo) -> PipelineStage:
    known = known_stages(repo)[name]
    known.save_deps()
    return known


def _made(reads: Mapping[str, str], repo: Repo) -> Iterable[Any]:
    """Find those of `reads` that stages write and DVC keeps, each with the digest that it has there."""
    for row in known_stages(repo).values():
        for out in row.outs:
            if out.use_cache and out.def_path in reads:
                out.hash_info = HashInfo("md5", reads[out.def_path])
                yield out


def _push(used: Mapping[Any, Iterable[HashInfo]], repo: Repo) -> None:
    remote_of(repo, "md5")
    for objects in used.values():
        if failed := repo.cloud.push(objects).failed:
            raise ConnectionError(f"DVC's remote did not take {len(failed)} objects: `dvc push` says more")


def _pull(used: Mapping[Any, Iterable[HashInfo]], repo: Repo) -> None:
    for objects in used.values():
        if failed := repo.cloud.pull(objects).failed:
            raise ConnectionError(f"DVC's remote did not give {len(failed)} objects: `dvc pull` says more")


def remote_of(repo: Repo, hash_name: str) -> Any:
    """Reach DVC's remote: its objects by "md5", all of it by "md5-dos2unix"; raises ValueError where there is none."""
    try:
        return repo.cloud.get_remote_odb(hash_name=hash_name)
    except NoRemoteError as error:
        raise ValueError(f"DVC has no remote, through which a stage's data goes to a worker: {_MEND}") from error
