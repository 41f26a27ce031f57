"""The entries that one run of a stage needs: find what is missing, make it, say what that was.

>>> shelf = Shelf(store(room, "latents"), keys, read, make)
>>> shelf.fill(batches(shelf.missing(), 8), "latents")
>>> shelf[0]
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from tasks.pipeline import Room
from tasks.progress import track
from tasks.stores.ahead import ahead
from tasks.stores.reuse import note
from tasks.stores.shard import WHOLE, Shard
from tasks.stores.store import Store, opened

Ready = TypeVar("Ready")


@dataclass(frozen=True)
class Shelf(Generic[Ready]):
    """The entries of one kind that a dataset needs, in its order.

    `read` gets ready what those at some positions are made of, such as pictures; `make` gives them, one by one. `of`
    holds the ids of the pictures that they are made from, if they are.
    """

    kept: Store
    keys: Sequence[str]
    read: Callable[[Sequence[int]], Ready]
    make: Callable[[Ready], Iterable[bytes]]
    of: Sequence[str] = ()

    def missing(self, shard: Shard = WHOLE) -> list[int]:
        """Say at which positions of a shard there is no whole entry, equal keys once."""
        mine = [position for position, key in enumerate(self.keys) if shard.holds(key)]
        return [mine[found] for found in self.kept.missing([self.keys[position] for position in mine])]

    def fill(self, batches: Sequence[Sequence[int]], what: str) -> None:
        """Make what is missing and keep each entry at once: a run that dies has lost nothing it made.

        One thread reads for the next batches and another writes what is made, while this one makes more.
        """
        self.kept.sweep()
        writing: list[Future[None]] = []
        with ThreadPoolExecutor(1) as writer:
            for batch, ready in track(ahead(batches, self.read), len(batches), what):
                for done in writing:  # a full disk ends this here, and no more than a batch waits for a slow one
                    done.result()
                writing.clear()
                for position, data in zip(batch, self.make(ready), strict=True):
                    of = self.of[position] if self.of else ""
                    writing.append(writer.submit(self.kept.write, self.keys[position], data, of))
            for done in writing:
                done.result()

    def __getitem__(self, position: int) -> bytes:
        """Read one entry; should somebody have deleted it since, it is made again."""
        data = self.kept.read(self.keys[position])
        return next(iter(self.make(self.read([position])))) if data is None else data


def store(room: Room, kind: str) -> Store:
    """Open the store of one kind of entries; all stages and all runs of a workspace share it."""
    return opened(room.state.parent, kind)


def tell(stage: str, computed: int, total: int, damaged: Sequence[Path], room: Room) -> None:
    """Say for how many of `total` images something was computed, on stderr and among the notes of all runs."""
    for path in damaged:
        print(f"  {stage}: the entry {path} was damaged and is computed again", file=sys.stderr)
    print(f"  {stage}: {computed} computed, {total - computed} reused", file=sys.stderr)
    note(room.state.parent, stage, computed=computed, reused=total - computed, damaged=len(damaged))
