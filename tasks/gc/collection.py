"""All that may go, as one list, and its removal.

>>> agreed = plan(Path(), Keeping())
>>> apply(Path(), Keeping(), agreed)

The list is in the order of removal: what refers to others goes first. So a removal that is cut short leaves nothing
that leads nowhere, and the next one finishes it.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from dvc.lock import LockError
from dvc.repo import Repo

from tasks.gc.entries import entries
from tasks.gc.keeping import Keeping
from tasks.gc.leftovers import leftovers
from tasks.gc.objects import objects
from tasks.gc.piece import Piece, vanish
from tasks.gc.remotes import parcels, remote_objects, take_away
from tasks.gc.roots import Roots, roots
from tasks.gc.weights import forget, weights
from tasks.runner import nobody_at_work
from tasks.versions import registry
from tasks.versions.promotion import give_up
from tasks.versions.version_commit import tag
from tasks.workspaces.worktree import sweep


def plan(root: Path, keeping: Keeping) -> list[Piece]:
    """List what may go, changing nothing; raises ValueError or FileNotFoundError where it can't be told what must stay.

    A run that is at work counts: what it has and what it made stay.
    """
    found = roots(root, keeping)
    with Repo(str(root)) as repo:
        return [
            *_versions(found),
            *weights(found),
            *objects(repo, found),
            *remote_objects(repo, found, keeping.remotes),
            *parcels(repo, found, keeping.remotes),
            *entries(root, found),
            *leftovers(root, found),
        ]


def apply(root: Path, keeping: Keeping, agreed: Iterable[Piece]) -> list[Piece]:
    """Remove what was `agreed` on and still may go, once no run is at work; gives what went.

    Raises as `plan` does, and BlockingIOError while DVC is at work by hand.
    """
    wanted = set(agreed)
    with nobody_at_work(root), Repo(str(root)) as repo:
        try:
            with repo.lock:
                going = [piece for piece in plan(root, keeping) if piece in wanted]
                for piece in going:
                    _remove(piece, root, repo)
        except LockError as error:
            raise BlockingIOError("DVC is at work in this folder: wait for it, then run again") from error
    return going


def _versions(found: Roots) -> Iterable[Piece]:
    """List versions that go, and those that went but for their place in the registry."""
    registered = {(name, version) for name in found.projects for version in registry.versions(name)}
    if lost := sorted(found.kept.keys() - registered):
        name, version = lost[0]
        raise ValueError(
            f"the registry has no {version} of {name}, so nobody can tell what it needs, and nothing is removed: put "
            f"mlflow.db back, or, if the version is to be forgotten, `git tag --delete {tag(name, version)}`"
        )
    left = dict.fromkeys(sorted(found.gone & registered), "given up, and a crash left it in the registry")
    for (name, version), why in (left | dict(found.going)).items():
        yield Piece("version", f"{name} {version}", 0, why)


def _remove(piece: Piece, root: Path, repo: Repo) -> None:
    match piece.kind:
        case "version":
            project, _, version = piece.name.rpartition(" ")
            give_up(project, version, piece.why, root)
        case "weights":
            forget(Path(piece.name))
        case "remote object" | "parcel":
            take_away(repo, piece)
        case "worktree":
            sweep(root)
        case "run":
            shutil.rmtree(piece.name)
        case _:
            vanish(Path(piece.name))
