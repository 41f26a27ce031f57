"""Tell what a run would do, stage by stage and why, without doing it; no torch, no Prefect.

    dopsd plan

The facts are DVC's (dvc.lock, the run-cache), and the fingerprints of the code as it is now. `dvc repro --dry` is not a
plan: it says "cached" and "running" of one stage, and nothing of what follows from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dvc.repo import Repo

from tasks.params import Params, check_said, load
from tasks.pipeline import PLACES, STAGES
from tasks.planning import code_record, fingerprint
from tasks.planning.count import Count
from tasks.planning.counts import Sight, counted
from tasks.planning.durations import expected
from tasks.planning.foresight import Outlook, foreseen, source_of
from tasks.planning.installation import numerics
from tasks.planning.known import known_stages
from tasks.planning.row import Decision, Row
from tasks.planning.selection import Selection
from tasks.planning.trees import keep
from tasks.planning.turn import Future, turn
from tasks.runner import RUNS, history, located
from tasks.stores.reuse import with_counts


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


def plan(
    root: Path,
    selection: Selection = Selection(),  # noqa: B008 (frozen)
    *,
    remembers: bool = False,
    counts: bool = False,
) -> Plan:
    """Compare the workspace with dvc.lock, stage by stage from the left; nothing that a run reads is written.

    `remembers` is for a run that follows: it keeps what is in the source folder now, to count the changes next time.
    `counts` asks the stores of caption and embed how many images each would compute.
    Raises ValueError for a key that params.yaml must say and for code that cannot be read, and what DVC raises for a
    broken file.
    """
    check_said(root, (key for stage in STAGES for key in stage.params))
    params, found = load(root), fingerprint.of(root)
    with Repo(str(root)) as repo:
        known = known_stages(repo)
        source = source_of(known)
        was = str(source.hash_info.value)  # deciding brings it up to date
        future = Future(repo, root, found, {place: located(place, params) for place in PLACES})
        rows = {stage.name: turn(stage, known[stage.name], future, selection) for stage in STAGES}
        images = _images(Outlook(known, future.restored, rows), was, params, root) if counts else {}
        if remembers:
            keep(source, root, has_changed=not rows["ingest"].is_idle)
        is_recorded = code_record.is_recorded(found, known[fingerprint.STAGE], root)
    past = with_counts(history(root), root / RUNS)
    rows = {name: _with_work(row, images.get(name), past) for name, row in rows.items()}
    return Plan(
        rows=tuple(rows[stage.name] for stage in selection.chosen),
        upstream=tuple(rows[stage.name] for stage in selection.upstream),
        warnings=tuple(sorted({warning for one in found.values() for warning in one.warnings})),
        is_code_recorded=is_recorded,
    )


def _images(outlook: Outlook, was: str, params: Params, root: Path) -> dict[str, Count]:
    """Count for caption and embed, if one of them may run."""
    if outlook.is_cached("caption") and outlook.is_cached("embed"):
        return {}
    models = {place: root / located(place, params) for place in ("base", "vlm")}
    code = fingerprint.running() | fingerprint.sources(root, fingerprint.rooms(root))
    return counted(foreseen(outlook, was, params, root), Sight(root, params, models, code))


def _with_work(row: Row, images: Count | None, past: Iterable[Mapping[str, object]]) -> Row:
    """Say of a stage that may run how much it would do, and how long that takes."""
    images = images if row.decision is not Decision.CACHED else None
    took = expected(row.name, past, numerics()["device"], images)
    return replace(row, images=images, expected=took)
