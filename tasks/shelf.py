"""The entries that one run of a stage needs: find what is missing, make it, say what that was.

>>> shelf = Shelf(store(room, "latents"), keys, make)
>>> shelf.fill(batches(shelf.missing(), 8))
>>> shelf[0]
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.folders import write_json
from tasks.pipeline import Room
from tasks.store import Store


@dataclass(frozen=True)
class Shelf:
    """The entries of one kind that a dataset needs, in its order; `make` gives those at some positions, one by one."""

    kept: Store
    keys: Sequence[str]
    make: Callable[[Sequence[int]], Iterable[bytes]]

    def missing(self) -> list[int]:
        """Say at which positions there is no whole entry, equal keys once."""
        first = {key: position for position, key in reversed(list(enumerate(self.keys)))}
        return sorted(position for key, position in first.items() if self.kept.read(key) is None)

    def fill(self, batches: Iterable[Sequence[int]]) -> None:
        """Make what is missing and keep each entry at once: a run that dies has lost nothing it made."""
        self.kept.sweep()
        for batch in batches:
            for position, data in zip(batch, self.make(batch), strict=True):
                self.kept.write(self.keys[position], data)

    def __getitem__(self, position: int) -> bytes:
        """Read one entry; should somebody have deleted it since, it is made again."""
        data = self.kept.read(self.keys[position])
        return next(iter(self.make([position]))) if data is None else data


def store(room: Room, kind: str) -> Store:
    """Open the store of one kind of entries; all stages and all runs of a workspace share it."""
    return Store(room.state.parent / "store" / kind)


def tell(stage: str, computed: int, total: int, damaged: Sequence[Path], room: Room) -> None:
    """Say for how many of `total` images something was computed, on stderr and in `runs/<stage>/reuse.json`."""
    for path in damaged:
        print(f"  {stage}: the entry {path} was damaged and is computed again", file=sys.stderr)
    print(f"  {stage}: {computed} computed, {total - computed} reused", file=sys.stderr)
    write_json(room.state / "reuse.json", {"computed": computed, "reused": total - computed, "damaged": len(damaged)})
