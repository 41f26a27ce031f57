"""Tell what a run would do, stage by stage and why, without doing it; no torch, no Prefect.

    dopsd plan

The facts are DVC's (dvc.lock, the run-cache), and the fingerprints of the code as it is now. `dvc repro --dry` is not a
plan: it says "cached" and "running" of one stage, and nothing of what follows from it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage

from tasks.params import check_said, load
from tasks.pipeline import PLACES, STAGES, Stage
from tasks.planning import code_record, fingerprint
from tasks.planning.durations import Expectation, expected
from tasks.planning.fingerprint import CODE, Fingerprint
from tasks.planning.installation import numerics
from tasks.planning.reasons import changed_code, changed_input, changed_params, place_of, word
from tasks.planning.restorable import may_be_restored, restorable
from tasks.planning.selection import Selection
from tasks.planning.trees import keep
from tasks.runner import history, located


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
    expected: Expectation | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing at all is to be done."""
        return self.decision is Decision.CACHED and not self.reasons


@dataclass(frozen=True)
class Plan:
    """A row for each stage that has its turn, and for each upstream of those.

    `warnings` name code that could not be followed; `is_code_recorded` tells whether DVC knows the code as it is now.
    """

    rows: tuple[Row, ...]
    upstream: tuple[Row, ...]
    warnings: tuple[str, ...]
    is_code_recorded: bool

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing at all is to be done."""
        return all(row.is_idle for row in (*self.rows, *self.upstream))

    @property
    def stale(self) -> tuple[Row, ...]:
        """List the upstream stages whose outputs are not what a run of them would give."""
        return tuple(row for row in self.upstream if row.decision is not Decision.CACHED)

    def seconds(self, *decisions: Decision) -> float | None:
        """Sum up what stages of these decisions took before; None where one of them never ran on such a device."""
        took = [row.expected for row in self.rows if row.decision in decisions]
        return None if None in took else round(sum(one.seconds for one in took if one), 1)


def plan(root: Path, selection: Selection = Selection(), *, remembers: bool = False) -> Plan:  # noqa: B008 (frozen)
    """Compare the workspace with dvc.lock, stage by stage from the left; nothing is written.

    `remembers` is for a run that follows: it keeps what is in the source folder now, to count the changes next time.
    Raises ValueError for a key that params.yaml must say and for code that cannot be read, and what DVC raises for a
    broken file.
    """
    check_said(root, (key for stage in STAGES for key in stage.params))
    params, found = load(root), fingerprint.of(root)
    with Repo(str(root)) as repo:
        known = {row.name: row for row in repo.index.stages if isinstance(row, PipelineStage)}
        future = _Future(repo, root, found, {place: located(place, params) for place in PLACES})
        rows = {stage.name: _turn(stage, known[stage.name], future, selection) for stage in STAGES}
        if remembers:
            source = next(dep for dep in known["ingest"].deps if not isinstance(dep, ParamsDependency))
            keep(source, root, has_changed=not rows["ingest"].is_idle)
        is_recorded = code_record.is_recorded(found, known[fingerprint.STAGE], root)
    return Plan(
        rows=tuple(rows[stage.name] for stage in selection.chosen),
        upstream=tuple(rows[stage.name] for stage in selection.upstream),
        warnings=tuple(sorted({warning for one in found.values() for warning in one.warnings})),
        is_code_recorded=is_recorded,
    )


@dataclass
class _Future:
    """What is known of outputs that will have changed: their digests where they are restored, nothing where made."""

    repo: Repo
    root: Path
    code: Mapping[str, Fingerprint]
    located: Mapping[str, Path]
    restored: dict[str, Output] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)


def _turn(stage: Stage, known: PipelineStage, future: _Future, selection: Selection) -> Row:
    """Decide on one stage; what is stale upstream and accepted stays as it is, so nothing waits for it."""
    row = _row(stage, known, future, is_forced=stage in selection.forced)
    if selection.accept_stale and stage in selection.upstream:
        future.unknown -= {out.def_path for out in known.outs}
    took = expected(stage.name, history(future.root), numerics()["device"])
    return Row(row.name, row.decision, row.reasons, took)


def _row(stage: Stage, known: PipelineStage, future: _Future, *, is_forced: bool) -> Row:
    """Decide on one stage, and note what the stages after it will find."""
    changes = ["asked for", *_changes(stage, known, future)] if is_forced else list(_changes(stage, known, future))
    waits = [dep.def_path for dep in known.deps if dep.def_path in future.unknown]
    missing = [f"output {out.def_path} {word(state)}" for out in known.outs for state in out.status().values()]
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


def _changes(stage: Stage, known: PipelineStage, future: _Future) -> Iterator[str]:
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
        elif dep.def_path not in future.unknown:
            yield from changed_input(dep, place_of(dep, stage, future.root, future.located), future.root)


def _restorable(stage: Stage, known: PipelineStage, future: _Future, *, has_changed: bool) -> list[Output]:
    """Ask for the outputs of the inputs that the stage will find when its turn comes."""
    if has_changed:
        try:
            _foresee(stage, known, future)
        except FileNotFoundError:
            return []
    return restorable(known, future.repo, has_changed=has_changed)


def _may_be_restored(stage: Stage, known: PipelineStage, future: _Future) -> bool:
    """Ask whether a stage that changed may still not run: an input that is made again may be as it once was."""
    try:
        _foresee(stage, known, future)
    except FileNotFoundError:
        return False
    return may_be_restored(known, future.repo, future.unknown)


def _foresee(stage: Stage, known: PipelineStage, future: _Future) -> None:
    """Put into the dependencies, in memory, the digests that they will have when the stage's turn comes."""
    for dep in known.deps:
        if dep.def_path == str(CODE):
            dep.fill_values({stage.name: future.code[stage.name].parts()})
        elif dep.def_path in future.restored:
            dep.hash_info, dep.meta = future.restored[dep.def_path].hash_info, future.restored[dep.def_path].meta
        elif dep.def_path not in future.unknown:
            dep.save()
