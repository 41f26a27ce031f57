"""Decide on one stage, knowing what was decided on those before it.

>>> rows = [turn(stage, known[stage.name], future, Selection()) for stage in STAGES]
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage

from tasks.pipeline import Stage
from tasks.planning.fingerprint import CODE, Fingerprint
from tasks.planning.reasons import changed_code, changed_input, changed_params, place_of, word
from tasks.planning.restorable import may_be_restored, restorable
from tasks.planning.row import Decision, Row
from tasks.planning.selection import Selection
from tasks.planning.trees import listed


@dataclass
class Future:
    """What is known of outputs: `unchanged` are as they were recorded; others are restored, or made anew and unknown.

    A folder that was looked at as an output need not be listed again for each stage that reads it.
    """

    repo: Repo
    root: Path
    code: Mapping[str, Fingerprint]
    located: Mapping[str, Path]
    restored: dict[str, Output] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    unchanged: dict[str, Output] = field(default_factory=dict)

    def will_be(self, path: str) -> Output | None:
        """Give the output that a stage will find at `path`; None where nobody knows yet, or it comes from outside."""
        return None if path in self.unknown else self.restored.get(path) or self.unchanged.get(path)


def turn(stage: Stage, known: PipelineStage, future: Future, selection: Selection) -> Row:
    """Decide on one stage; what is stale upstream and accepted stays as it is, so nothing waits for it."""
    row = _row(stage, known, future, is_forced=stage in selection.forced)
    if selection.accept_stale and stage in selection.upstream:
        future.unknown -= {out.def_path for out in known.outs}
    return row


def _row(stage: Stage, known: PipelineStage, future: Future, *, is_forced: bool) -> Row:
    """Decide on one stage, and note what the stages after it will find."""
    changes = ["asked for", *_changes(stage, known, future)] if is_forced else list(_changes(stage, known, future))
    waits = [dep.def_path for dep in known.deps if dep.def_path in future.unknown]
    missing = [f"output {out.def_path} {word(state)}" for out in known.outs for state in out.status().values()]
    if not missing:
        future.unchanged |= {out.def_path: out for out in known.outs}
    if not changes and not missing and not waits:
        return Row(stage.name, Decision.CACHED, ())
    if not waits and not is_forced and (outputs := _restorable(stage, known, future, has_changed=bool(changes))):
        future.restored |= {out.def_path: out for out in outputs}
        return Row(stage.name, Decision.CACHED, (*(changes or missing), "its output is in the cache"))
    is_sure = is_forced or not waits or (bool(changes) and not _may_be_restored(stage, known, future))
    future.unknown |= {out.def_path for out in known.outs}
    if is_sure:
        return Row(stage.name, Decision.RUN, tuple(changes or missing))
    return Row(stage.name, Decision.MAYBE, (*changes, f"waits for {', '.join(waits)}"))


def _changes(stage: Stage, known: PipelineStage, future: Future) -> Iterator[str]:
    """Say what differs from what dvc.lock has of this stage."""
    if not any(dep.hash_info for dep in known.deps):
        yield "never ran here"
        return
    if known.cmd_changed:
        yield "its command changed"
    for dep in known.deps:
        if dep.def_path == str(CODE):
            old = (dep.hash_info.value or {}).get(stage.name, {})
            yield from changed_code(old, future.code[stage.name].parts())
        elif isinstance(dep, ParamsDependency):
            yield from changed_params(dep)
        elif dep.def_path in future.restored:
            if dep.hash_info != future.restored[dep.def_path].hash_info:
                yield f"data: {dep.def_path} changes back"
        elif dep.def_path not in future.unknown and not _is_as_read(dep, future):
            yield from changed_input(dep, place_of(dep, stage, future.root, future.located), future.root)


def _is_as_read(dep: Output, future: Future) -> bool:
    """Tell whether the stage upstream was found to have just what this one read."""
    found = future.will_be(dep.def_path)
    return found is not None and found.hash_info == dep.hash_info


def _restorable(stage: Stage, known: PipelineStage, future: Future, *, has_changed: bool) -> list[Output]:
    """Ask for the outputs of the inputs that the stage will find when its turn comes."""
    if has_changed:
        try:
            _foresee(stage, known, future)
        except FileNotFoundError:
            return []
    return restorable(known, future.repo, has_changed=has_changed)


def _may_be_restored(stage: Stage, known: PipelineStage, future: Future) -> bool:
    """Ask whether a stage that changed may still not run: an input that is made again may be as it once was."""
    try:
        _foresee(stage, known, future)
    except FileNotFoundError:
        return False
    return may_be_restored(known, future.repo, future.unknown)


def _foresee(stage: Stage, known: PipelineStage, future: Future) -> None:
    """Put into the dependencies, in memory, the digests that they will have when the stage's turn comes."""
    for dep in known.deps:
        if dep.def_path == str(CODE):
            dep.fill_values({stage.name: future.code[stage.name].parts()})
        elif isinstance(dep, ParamsDependency):
            dep.save()
        elif found := future.will_be(dep.def_path):
            dep.hash_info, dep.meta = found.hash_info, found.meta
        elif dep.def_path not in future.unknown:
            now = listed(dep)
            dep.hash_info, dep.meta = now.hash_info, now.meta
