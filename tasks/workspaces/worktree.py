"""Checkouts of a commit beside the user's own, each in a slot that one process holds: runs/workspaces/1, 2, ...

    with worktree(Path(), "HEAD") as slot: print(slot / TREE)

A branch, an index or a file of the user is never touched. A checkout whose process was killed is swept by whoever comes
next; the slot itself stays, so that a path seen before is the same path again and what DVC knows of it still holds.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from tasks.git import said
from tasks.lock import held_if_free

SLOTS = Path("runs/workspaces")
TREE = "tree"
_LOCK = "lock"


@contextmanager
def worktree(home: Path, commit: str) -> Iterator[Path]:
    """Lend a slot whose folder `tree` is a checkout of `commit`, on no branch; it is gone when the block ends.

    Raises ValueError where git refuses.
    """
    sweep(home)
    with _slot(home.resolve() / SLOTS) as slot:
        _remove(slot / TREE, home)
        try:
            said(home, "worktree", "add", "--detach", str(slot / TREE), commit)
            yield slot
        finally:
            _remove(slot / TREE, home)


def sweep(home: Path) -> None:
    """Remove the checkouts of processes that are dead."""
    for tree in (home.resolve() / SLOTS).glob(f"*/{TREE}"):
        with held_if_free(tree.with_name(_LOCK)) as is_ours:
            if is_ours:
                _remove(tree, home)


@contextmanager
def _slot(folder: Path) -> Iterator[Path]:
    """Hold the first slot that nobody does."""
    for number in count(1):
        with held_if_free(folder / str(number) / _LOCK) as is_ours:
            if is_ours:
                yield folder / str(number)
                return


def _remove(tree: Path, home: Path) -> None:
    """Delete a checkout, then git's note of it; forced twice, as it is locked where a kill struck while it was made."""
    shutil.rmtree(tree, ignore_errors=True)  # what a dying process still writes is swept the next time
    with suppress(ValueError):  # git never heard of it, or forgot it already
        said(home, "worktree", "remove", "--force", "--force", str(tree))
