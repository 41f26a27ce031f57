"""What everything that stays hangs on: commits, lock files, versions, and runs that are not over.

>>> roots(Path(), Keeping())
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.ancestry.records import Record, records
from tasks.gc.keeping import Keeping, going
from tasks.git import said, said_if_it_can
from tasks.lock import held_if_free
from tasks.params import PARAMS_FILE, load
from tasks.runner import WRITER
from tasks.triggers.events import history
from tasks.triggers.journal import EVENTS, TRIGGERS
from tasks.triggers.state import after
from tasks.versions import ledger
from tasks.versions.version_commit import LOCK
from tasks.workspaces.workspace import RECORDED
from tasks.workspaces.worktree import SLOTS, TREE

Named = tuple[str, str]
"""A version by its project and its own name."""


@dataclass(frozen=True)
class Roots:
    """Versions of all `projects`: those that are `kept`, those `going`, with the reason, those `gone` before.

    `commits` and `locks` (files like dvc.lock) say what DVC must keep, `parents` which versions params.yaml trains on
    from. What was touched since `recent`, in seconds of the epoch, stays whatever it is.
    """

    projects: tuple[str, ...]
    kept: Mapping[Named, Record]
    going: Mapping[Named, str]
    gone: frozenset[Named]
    commits: tuple[str, ...]
    locks: tuple[Path, ...]
    parents: frozenset[str]
    recent: float


def roots(root: Path, keeping: Keeping) -> Roots:
    """Gather them; the policy is for the project of params.yaml, the versions of all others stay."""
    own, now, at_work = load(root).register.model, datetime.now(UTC), dict(_at_work(root))
    trees = [tree for tree in at_work if tree != root]
    parents = frozenset(load(tree).train.parent for tree in (root, *trees))
    entries, projects = ledger.read(root), _projects(root, own)
    known = {(name, version): record for name in projects for version, record in records(root, name).items()}
    gone = frozenset((entry.model, entry.version) for entry in entries if entry.action == "gc")
    ours = {version: record for (name, version), record in known.items() if name == own}
    leaving = going(ours, ledger.of_model(entries, own), keeping, set(parents), now)
    kept = {one: known[one] for one in known if one not in gone and not (one[0] == own and one[1] in leaving)}
    return Roots(
        projects=projects,
        kept=kept,
        going={(own, version): why for version, why in leaving.items()},
        gone=gone,
        commits=tuple({*_branches(root), *_heads(trees), *(record.commit for record in kept.values())}),
        locks=(*(root / RECORDED).glob(f"*/{LOCK}"), *(tree / LOCK for tree in trees if (tree / LOCK).is_file())),
        parents=parents,
        recent=min([now.timestamp() - keeping.recent.total_seconds(), *at_work.values(), *_promised(root)]),
    )


def _projects(root: Path, own: str) -> tuple[str, ...]:
    """Name all projects that have versions in this repository."""
    tags = said_if_it_can(root, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/tags/model/") or ""
    return tuple(sorted({own, *(tag.rpartition("/")[0] for tag in tags.splitlines())}))


def _branches(root: Path) -> list[str]:
    """List the last commits of all branches, and the one that is checked out."""
    heads = said_if_it_can(root, "for-each-ref", "--format=%(objectname)", "refs/heads/") or ""
    here = said_if_it_can(root, "rev-parse", "--verify", "--quiet", "HEAD")
    return [*heads.splitlines(), *([here] if here else [])]


def _heads(trees: list[Path]) -> list[str]:
    return [said(tree, "rev-parse", "HEAD") for tree in trees]


def _at_work(root: Path) -> Iterator[tuple[Path, float]]:
    """Find the folders in which a run is at work, each with the time since when."""
    prefix = said_if_it_can(root, "rev-parse", "--show-prefix") or ""
    slots = {lock: lock.with_name(TREE) / prefix for lock in (root / SLOTS).glob("*/lock")}
    for lock, folder in {root / WRITER: root, **slots}.items():
        if lock.is_file() and (folder / PARAMS_FILE).is_file():
            since = lock.stat().st_mtime
            with held_if_free(lock) as is_free:
                if not is_free:
                    yield folder, since


def _promised(root: Path) -> Iterator[float]:
    """Say when runs were promised to triggers that have not heard of their end: what they made so far stays."""
    for path in (root / TRIGGERS).glob(f"*/{EVENTS}"):
        run = after(history(path).events).open_run
        if run is not None:
            yield run.at.timestamp()
