"""Ask DVC which outputs it would check out in place of a run, before it does.

>>> restorable(known, repo)          # [] where the stage would have to run
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.cache import StageCache, _get_cache_hash
from dvc.stage.serialize import to_single_stage_lockfile

_Inputs = tuple[str, dict[str, Any], Any]
"""A run's command, the digests of what it read, and its params."""


def restorable(known: PipelineStage, repo: Repo, *, has_changed: bool) -> list[Output]:
    """Find outputs made of the same inputs, all in the cache; `known` holds the digests that its inputs will have."""
    if any(out.persist for out in known.outs):
        return []
    outputs = _remembered(known, StageCache(repo)) if has_changed else known.outs
    return [] if any(out.changed_cache() for out in outputs) else outputs


def _remembered(known: PipelineStage, cache: StageCache) -> list[Output]:
    """Ask the run-cache what the stage made of these inputs; DVC has no public way, and its version is pinned."""
    key = _get_cache_hash(to_single_stage_lockfile(known), key=True)
    entries = sorted(Path(cache._get_cache_dir(key)).glob("*"), key=lambda path: path.stat().st_mtime)
    entry = cache._load_cache(key, entries[-1].name) if entries else None
    outputs: list[Output] = cache._create_stage(entry, wdir=known.wdir).outs if entry else []
    return outputs


def may_be_restored(known: PipelineStage, repo: Repo, unknown: Collection[str]) -> bool:
    """Tell whether the run-cache holds a run like this one, whatever the inputs in `unknown` turn out to be."""
    if any(out.persist for out in known.outs):
        return False
    wanted = _inputs(to_single_stage_lockfile(known), unknown)
    cache = StageCache(repo)
    entries = (cache._load_cache(path.parent.name, path.name) for path in _like(wanted, Path(cache.cache_dir)))
    return any(_inputs(entry, unknown) == wanted for entry in entries if entry)


def _like(wanted: _Inputs, folder: Path) -> Iterator[Path]:
    """List the entries that name all digests that are known: to parse those of all past runs takes too long."""
    digests = [digest for digest in wanted[1].values() if digest]
    for path in folder.glob("*/*/*"):
        text = path.read_text(encoding="utf-8")
        if all(digest in text for digest in digests):
            yield path


def _inputs(lock: Mapping[str, Any], unknown: Collection[str]) -> _Inputs:
    """List what a run depended on, but for what is not known yet."""
    deps = {dep["path"]: dep.get("md5") for dep in lock.get("deps", []) if dep["path"] not in unknown}
    return lock["cmd"], deps, lock.get("params")
