"""Tell what a run would do, stage by stage and why, without doing it; no torch, no Prefect.

    dopsd plan

The facts are DVC's (dvc.lock, the run-cache); `dvc repro --dry` is not a plan: it says "cached" and "running" of one
stage, and nothing of what follows from it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.stage.cache import StageCache, _get_cache_hash
from dvc.stage.serialize import to_single_stage_lockfile

from tasks.params import check_said
from tasks.pipeline import PLACES, STAGES, Stage


class Decision(StrEnum):
    """What happens to a stage: it runs, its output stands or is restored, or that depends on a stage before it."""

    RUN = "RUN"
    CACHED = "CACHED"
    MAYBE = "MAYBE"


@dataclass(frozen=True)
class Row:
    """One stage of the plan; reasons beside CACHED say why its output is restored from the cache."""

    name: str
    decision: Decision
    reasons: tuple[str, ...]

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing at all is to be done."""
        return self.decision is Decision.CACHED and not self.reasons


def plan(root: Path) -> list[Row]:
    """Compare the workspace with dvc.lock, stage by stage from the left.

    Raises ValueError for a key that params.yaml must say, and what DVC raises for a broken file.
    """
    check_said(root, (key for stage in STAGES for key in stage.params))
    with Repo(str(root)) as repo:
        known = {row.name: row for row in repo.index.stages if isinstance(row, PipelineStage)}
        future = _Future(repo)
        return [_row(stage, known[stage.name], future) for stage in STAGES]


@dataclass
class _Future:
    """What is known of outputs that will have changed: their digests where they are restored, nothing where made."""

    repo: Repo
    restored: dict[str, Output] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)


def _row(stage: Stage, known: PipelineStage, future: _Future) -> Row:
    """Decide on one stage, and note what the stages after it will find."""
    changes = list(_changes(known, future))
    waits = [dep.def_path for dep in known.deps if dep.def_path in future.unknown]
    missing = [f"output {out.def_path} {_word(state)}" for out in known.outs for state in out.status().values()]
    if not changes and not missing and not waits:
        return Row(stage.name, Decision.CACHED, ())
    if not waits and (outputs := _restorable(known, future, has_changed=bool(changes))):
        future.restored |= {out.def_path: out for out in outputs}
        return Row(stage.name, Decision.CACHED, (*(changes or missing), "its output is in the cache"))
    future.unknown |= {out.def_path for out in known.outs}
    if changes or not waits:
        return Row(stage.name, Decision.RUN, tuple(changes or missing))
    return Row(stage.name, Decision.MAYBE, (f"waits for {', '.join(waits)}",))


def _changes(known: PipelineStage, future: _Future) -> Iterator[str]:
    """Say what differs from what dvc.lock has of this stage."""
    if not any(dep.hash_info for dep in known.deps):
        yield "never ran here"
        return
    if known.cmd_changed:
        yield "its command changed"
    for dep in known.deps:
        if isinstance(dep, ParamsDependency):
            yield from _changed_params(dep)
        elif dep.def_path in future.restored:
            if dep.hash_info != future.restored[dep.def_path].hash_info:
                yield f"data: {dep.def_path} changes back"
        elif dep.def_path not in future.unknown:
            yield from (f"{_kind(dep.def_path)}: {dep.def_path} {_word(state)}" for state in dep.status().values())


def _changed_params(dep: ParamsDependency) -> Iterator[str]:
    """List the keys of params.yaml that changed, with both values."""
    old, new = _flat(dep.hash_info.value or {}), _flat(dep.read_params())
    for key in dict.fromkeys([*new, *old]):
        if old.get(key, _NOTHING) != new.get(key, _NOTHING):
            yield f"params: {key} {old.get(key, _NOTHING)} -> {new.get(key, _NOTHING)}"


def _restorable(known: PipelineStage, future: _Future, *, has_changed: bool) -> list[Output]:
    """Find the outputs that DVC would check out in place of a run: of the same inputs, all in its cache."""
    if any(out.persist for out in known.outs):
        return []
    if not has_changed:
        return [] if any(out.changed_cache() for out in known.outs) else known.outs
    try:
        _foresee(known, future)
    except FileNotFoundError:
        return []
    outputs = _remembered(known, StageCache(future.repo))
    return [] if any(out.changed_cache() for out in outputs) else outputs


def _remembered(known: PipelineStage, cache: StageCache) -> list[Output]:
    """Ask the run-cache what the stage made of these inputs; DVC has no public way, and its version is pinned."""
    key = _get_cache_hash(to_single_stage_lockfile(known), key=True)
    entries = sorted(Path(cache._get_cache_dir(key)).glob("*"), key=lambda path: path.stat().st_mtime)
    entry = cache._load_cache(key, entries[-1].name) if entries else None
    outputs: list[Output] = cache._create_stage(entry, wdir=known.wdir).outs if entry else []
    return outputs


def _foresee(known: PipelineStage, future: _Future) -> None:
    """Put into the dependencies, in memory, the digests that they will have when the stage's turn comes."""
    for dep in known.deps:
        if dep.def_path in future.restored:
            dep.hash_info, dep.meta = future.restored[dep.def_path].hash_info, future.restored[dep.def_path].meta
        else:
            dep.save()


_NOTHING = "(nothing)"


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Spell nested values with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{above}{key}"
        found |= _flat(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
    return found


def _kind(path: str) -> str:
    if path.endswith(".py"):
        return "code"
    return "data" if path in PLACES.values() else "input"


def _word(state: str) -> str:
    return {"modified": "changed", "deleted": "is missing", "new": "is new", "not in cache": "is lost"}[state]
