"""The block-list: pictures that were taken down and must not come back, known by digests and looks alone.

>>> blocked(Path("blocked.jsonl")).check(data)  # raises Blocked: the same bytes

It is versioned data, a line a picture, and a dependency of ingest; `dopsd takedown apply` adds to it.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.folders import read_rows, sha256_of_bytes, write_rows
from tasks.images.duplicates import perceptual_hash
from tasks.images.picture import Picture, Unusable

REASON = "blocked"


class Blocked(Unusable):
    """A file that was taken down; unlike other refused ones, its bytes are kept nowhere."""


@dataclass(frozen=True)
class BlockedRow:
    """One picture: `id` of its pixels, `sha256` of a file's bytes, looks of which `bits` of 64 may differ in a copy."""

    id: str
    sha256: str
    phash: str
    bits: int


@dataclass(frozen=True)
class BlockList:
    """What is refused: the same bytes, the same pixels, and copies that look alike, made anew, resized, recoloured."""

    rows: tuple[BlockedRow, ...] = ()

    def check(self, data: bytes) -> None:
        """Raise Blocked for the bytes of a file that was taken down."""
        if self.rows and sha256_of_bytes(data) in {row.sha256 for row in self.rows}:
            raise _refusal()

    def check_looks(self, picture: Picture) -> None:
        """Raise Blocked for a picture with such pixels, or such looks."""
        if not self.rows:
            return
        name, looks = picture.id, int(perceptual_hash(picture.image), 16)
        if any(row.id == name or (int(row.phash, 16) ^ looks).bit_count() <= row.bits for row in self.rows):
            raise _refusal()


def blocked(path: Path) -> BlockList:
    """Read the block-list; raises ValueError naming a line that is none, FileNotFoundError where there is no file.

    One that blocks nothing holds an empty line, as DVC warns of files without a byte.
    """
    try:
        return BlockList(tuple(BlockedRow(**row) for row in read_rows(path)))
    except TypeError as error:
        raise ValueError(f"{path} is no block-list ({error}): put it back with git") from error


def block(path: Path, rows: Iterable[BlockedRow]) -> None:
    """Add pictures to the block-list; what is on it stays."""
    known = dict.fromkeys((*blocked(path).rows, *rows))
    write_rows(path, [asdict(row) for row in known])


def _refusal() -> Blocked:
    return Blocked(REASON, "it was taken down, see takedowns/: delete it")
