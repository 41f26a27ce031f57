"""Keep what was computed for one image, under the digest of everything that made it.

    store = Store(Path("runs/store/latents"))
    store.write(key, data)
    store.read(key)                 # the same bytes; None where there is no entry, or a damaged one

An entry is one line, a digest of all of it and the id of the picture that it is of, and then the bytes. It is written
beside its place and moved in, so any number of processes may write at once; what is read is checked; any entry may be
deleted at any time.
"""

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tasks.folders import sha256_of_json, write_bytes

OF_WORDS = ("student", "plain")
"""Kinds of entries that are made from captions alone."""
_DIGEST = 64  # hex digits, then a blank and the id of a picture, or nothing
_LONGEST = 256
_ABANDONED_S = 3600
_LARGE = 1 << 18
"""Bytes of an entry from which on its digest is computed beside others; threads with less to do wait for each other."""


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
        data = _opened(key, entry)
        if data is None:
            self.damaged.append(path)
        return data

    def missing(self, keys: Sequence[str]) -> list[int]:
        """Say at which positions of `keys` there is no whole entry, equal keys once."""
        first = {key: position for position, key in reversed(list(enumerate(keys)))}
        if self._holds_large(first):
            with ThreadPoolExecutor() as readers:
                lacks = list(readers.map(self._lacks, first))
        else:
            lacks = [self._lacks(key) for key in first]
        return sorted(position for position, lack in zip(first.values(), lacks, strict=True) if lack)

    def _lacks(self, key: str) -> bool:
        return self.read(key) is None

    def _holds_large(self, keys: Iterable[str]) -> bool:
        """Tell by the first entry that is there; those of one kind are of about one size."""
        return next((path.stat().st_size for path in map(self.path, keys) if path.is_file()), 0) >= _LARGE

    def write(self, key: str, data: bytes, of: str = "") -> None:
        """Keep `data` under `key`, whole or not at all; without waiting for the disk, as what is read is checked.

        `of` is the id of the picture that it was made from.
        """
        write_bytes(self.path(key), _seal(key, data, of.encode()) + b"\n" + data, is_durable=False)

    def take(self, key: str, entry: bytes) -> None:
        """Keep an entry as another store holds it, but no damaged one."""
        if _opened(key, entry) is not None:
            write_bytes(self.path(key), entry, is_durable=False)

    def entries_of(self, pictures: Collection[str]) -> Iterator[Path]:
        """Find the entries of pictures, by id; and those from before that was noted, which may be of any picture."""
        for path in sorted(self.folder.glob("??/*")):
            with path.open("rb") as file:
                of = picture_of(file.readline(_LONGEST))
            if not of or of in pictures:
                yield path

    def sweep(self) -> None:
        """Remove what writers that were killed left beside their places, once it is an hour old."""
        for path in self.folder.glob("*/.staged-*"):
            with suppress(FileNotFoundError):  # another process finished it, or sweeps too
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


def opened(runs: Path, kind: str) -> Store:
    """Open the store of one kind of entries; `runs` is the workspace's folder of what survives a run."""
    return Store(runs / "store" / kind)


def picture_of(entry: bytes) -> str:
    """Read from the first line of an entry of which picture it is; empty where that was not noted."""
    return entry.partition(b"\n")[0][_DIGEST + 1 : _LONGEST].strip().decode("ascii", "replace")


def _opened(key: str, entry: bytes) -> bytes | None:
    """Give what was written, or None where that is not what was sealed."""
    line, _, data = entry.partition(b"\n")
    return data if line == _seal(key, data, line[_DIGEST + 1 :]) else None


def _seal(key: str, data: bytes, of: bytes) -> bytes:
    """Digest key, picture and data together: an entry under another's name is damaged too."""
    digest = hashlib.sha256(key.encode() + of)
    digest.update(data)  # which lets other threads go on meanwhile, if it is large
    said = digest.hexdigest().encode()
    return said + b" " + of if of else said
