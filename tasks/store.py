"""Keep what was computed for one image, under the digest of everything that made it.

    store = Store(Path("runs/store/latents"))
    store.write(key, data)
    store.read(key)                 # the same bytes; None where there is no entry, or a damaged one

An entry is one line, the digest of its key and its bytes, and then the bytes. It is written beside its place and moved
in, so any number of processes may write at once; what is read is checked; any entry may be deleted at any time.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from tasks.folders import sha256_of_bytes, sha256_of_json, write_bytes, write_json
from tasks.pipeline import Room

T = TypeVar("T")

CHUNK = 256
"""Keys to fetch at a time."""
_DIGEST = 64  # hex digits, then a newline
_ABANDONED_S = 3600


def key_of(parts: Mapping[str, object]) -> str:
    """Digest everything that matters for an entry, 64 hex digits."""
    return sha256_of_json(parts)


@dataclass
class Store:
    """Entries of one kind in `folder`; `damaged` lists those that were read and did not hold what was written."""

    folder: Path
    damaged: list[Path] = field(default_factory=list)

    def path(self, key: str) -> Path:
        """Say where the entry of `key` lies; 256 folders keep 100,000 entries usable."""
        return self.folder / key[:2] / key[2:]

    def read(self, key: str) -> bytes | None:
        """Give back what was written, or None; a damaged entry is as good as none, and is remembered."""
        path = self.path(key)
        try:
            entry = path.read_bytes()
        except FileNotFoundError:
            return None
        data = entry[_DIGEST + 1 :]
        if entry[: _DIGEST + 1] == _seal(key, data):
            return data
        self.damaged.append(path)
        return None

    def write(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, whole or not at all; without waiting for the disk, as what is read is checked."""
        write_bytes(self.path(key), _seal(key, data) + data, is_durable=False)

    def sweep(self) -> None:
        """Remove what writers that were killed left beside their places, once it is an hour old."""
        for path in self.folder.glob("*/.staged-*"):
            if time.time() - path.stat().st_mtime > _ABANDONED_S:
                path.unlink(missing_ok=True)


def store(room: Room, kind: str) -> Store:
    """Open the store of one kind of entries; all stages and all runs of a workspace share it."""
    return Store(room.state.parent / "store" / kind)


def in_chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut `items` into runs of `size`, the last one shorter."""
    return (items[start : start + size] for start in range(0, len(items), size))


@dataclass(frozen=True)
class Reuse:
    """For how many images something was computed, and how many found all they need."""

    computed: int = 0
    reused: int = 0

    def __add__(self, other: "Reuse") -> "Reuse":
        """Count on."""
        return Reuse(self.computed + other.computed, self.reused + other.reused)


Compute = Callable[[Sequence[int]], Iterable[tuple[int, bytes]]]


def fetch(kept: Store, keys: Sequence[str], compute: Compute) -> tuple[list[bytes], set[int]]:
    """Read the entries of `keys`, let `compute` make the missing ones, and say at which positions it had to.

    `compute` gets the positions that miss, equal keys once, and yields (position, bytes) as it goes: each is kept at
    once, so that a run that dies has lost nothing it computed. It is not called where nothing misses. All entries are
    held in memory: give it one chunk of keys at a time.
    """
    entries = {key: kept.read(key) for key in dict.fromkeys(keys)}
    misses = [keys.index(key) for key, data in entries.items() if data is None]
    if misses:
        kept.sweep()
        for position, data in compute(misses):
            kept.write(keys[position], data)
            entries[keys[position]] = data
    found = [data for data in map(entries.get, keys) if data is not None]
    assert len(found) == len(keys), "compute left an entry out"
    return found, set(misses)


def tell(stage: str, reuse: Reuse, stores: Iterable[Store], room: Room) -> None:
    """Say what a stage computed and reused, on stderr and in `runs/<stage>/reuse.json`; damaged entries by name."""
    damaged = [path for kept in stores for path in kept.damaged]
    for path in damaged:
        print(f"  {stage}: the entry {path} was damaged and is computed again", file=sys.stderr)
    print(f"  {stage}: {reuse.computed} computed, {reuse.reused} reused", file=sys.stderr)
    write_json(room.state / "reuse.json", asdict(reuse) | {"damaged": len(damaged)})


def _seal(key: str, data: bytes) -> bytes:
    """Digest key and data together: an entry under another's name is damaged too."""
    return f"{sha256_of_bytes(key.encode() + data)}\n".encode()
