"""What runs left for the next one below runs/: states of trainings, parents that were fetched, checkouts.

>>> list(leftovers(Path(), roots))
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tasks.gc.piece import Piece, piece, touched
from tasks.gc.roots import Roots
from tasks.lock import held_if_free
from tasks.runner import RUNS
from tasks.versions.learnt import EARLIER
from tasks.versions.registry import PARENTS
from tasks.workspaces.flight import FLIGHTS
from tasks.workspaces.worktree import SLOTS, TREE


def leftovers(root: Path, roots: Roots) -> Iterator[Piece]:
    """List what may go."""
    for path in sorted(chain((root / RUNS / "train").glob("*/"), (root / FLIGHTS).glob("*/train/*/"))):
        if touched(path) < roots.recent:
            yield piece("checkpoint", path, "no training went on from it")
    for path in sorted((root / PARENTS).glob("*/")):
        if path.name not in roots.parents and touched(path) < roots.recent:
            yield piece("parent", path, "params.yaml trains on from another; it is fetched again when asked for")
    for path in sorted((root / EARLIER).glob("*/")):
        if touched(path) < roots.recent:
            yield piece("panel", path, "it is laid out again when a run asks for it")
    for path in sorted((root / SLOTS).glob(f"*/{TREE}/")):
        with held_if_free(path.with_name("lock")) as is_left:
            if is_left:
                yield piece("worktree", path, "its run was killed")
