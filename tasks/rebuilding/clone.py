"""A clean clone at the commit of a version: its code, params, dataset, parent and models, and nothing computed since.

>>> with stores(Path()) as known: root = laid_out(Path(), records(Path(), "dopsd"), "v7", known, Path("/tmp/v7"))

DVC's cache and the stores of single images are not there, so that what a stage writes was computed by it.
"""

from collections.abc import Mapping
from pathlib import Path

from tasks import weak_teacher
from tasks.ancestry.records import BASE, Record, stages
from tasks.git import said
from tasks.pipeline import PLACES
from tasks.runner import RUNS
from tasks.versions.stored import Stores
from tasks.versions.version_commit import LOCK, outs
from tasks.workspaces.snapshot import snapshot

_GIVEN = ("images", "probe")
"""What is brought rather than made: what was taken in may be gone from where it lay, the probe makes no weights."""


def laid_out(root: Path, known: Mapping[str, Record], version: str, stored: Stores, folder: Path) -> Path:
    """Lay a version's beginnings out in the empty `folder`; gives the root of the pipeline there.

    Raises FileNotFoundError or ValueError naming what git, DVC or this folder no longer has.
    """
    record = known[version]
    top, below = (said(root, "rev-parse", word) for word in ("--show-toplevel", "--show-prefix"))
    said(root, "clone", "--quiet", "--no-checkout", top, str(folder.resolve()))
    said(folder, "checkout", "--quiet", "--detach", record.commit)
    there, digests = folder.resolve() / below, outs(stages(root, record))
    for place in _GIVEN:
        stored.bring(_kept(digests, place, version), there / PLACES[place])
    if record.parent != BASE:
        _bring_parent(root, known, record.parent, stored, there)
    _link_models(root, record, there)
    if record.lineage["is_weak_teacher_accepted"]:
        weak_teacher.accept(there / PLACES["probe"], there / RUNS)
    return there


def bring_weights(root: Path, record: Record, stored: Stores, place: Path) -> None:
    """Lay out what training wrote, as DVC keeps it; raises FileNotFoundError where it is gone."""
    stored.bring(_kept(outs(stages(root, record)), "adapter", record.version), place)


def _bring_parent(root: Path, known: Mapping[str, Record], parent: str, stored: Stores, there: Path) -> None:
    if parent not in known:
        raise ValueError(f"there is no record of {parent}, which it was trained on from: `dopsd audit` says more")
    bring_weights(root, known[parent], stored, there / RUNS / "parents" / parent)


def _link_models(root: Path, record: Record, there: Path) -> None:
    """Bring the models that params.yaml names and git does not hold, as links."""
    for name in record.lineage["params"]["models"].values():
        if (root / name).exists() and not (there / name).exists():
            snapshot(root / name, there / name)


def _kept(digests: Mapping[str, str | None], place: str, version: str) -> str:
    """Look up DVC's digest of a place; raises ValueError where it keeps none."""
    if digest := digests.get(PLACES[place]):
        return digest
    raise ValueError(f"{LOCK} of {version} says nothing of {PLACES[place]}: it was made by another pipeline")
