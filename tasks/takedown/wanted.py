"""The picture that is to go, in every form in which it is known; what it takes to be it is what the block-list refuses.

>>> wanted(Path(), "dopsd", "photo.jpg", max_bits=6).is_it(data)
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.ancestry.index import Image, Index, opened
from tasks.ancestry.records import Record
from tasks.folders import read_rows, sha256_of_bytes
from tasks.images.blocked import Blocked, BlockedRow, BlockList
from tasks.images.duplicates import perceptual_hash
from tasks.images.picture import Limits, Unusable, decoded
from tasks.pipeline import PLACES
from tasks.takedown.receipt import receipts

_ANY = Limits(max_megapixels=1000, min_side_px=1)


@dataclass(frozen=True)
class Wanted:
    """What was asked for, and what it came to: rows as the block-list will hold them, and the names of their files."""

    asked: str
    rows: tuple[BlockedRow, ...]
    sources: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name it by the pixels of what was asked for."""
        return self.rows[0].id[:12]

    @property
    def ids(self) -> frozenset[str]:
        """Name the pixels of all copies."""
        return frozenset(row.id for row in self.rows)

    def is_named_in(self, text: str) -> bool:
        """Tell whether a text names it: by its pixels, or as quarantine does by its bytes."""
        return any(row.id in text or row.sha256[:32] in text for row in self.rows)

    def is_it(self, data: bytes) -> bool:
        """Tell whether bytes are the picture or a copy."""
        refused = BlockList(self.rows)
        try:
            refused.check(data)
            refused.check_looks(decoded(data, _ANY))
        except Blocked:
            return True
        except Unusable:
            return False
        return False


def wanted(root: Path, known: Mapping[str, Record], asked: str, max_bits: int) -> Wanted:
    """Find out what is asked for: a file, a digest (of bytes or pixels), or what an earlier takedown was asked for.

    Raises FileNotFoundError where it is none of these, ValueError for a file that is no picture.
    """
    here = _here(root)
    with opened(root, known) as index:
        meant = _meant(root, index, here, asked)
        copies = {copy for one in meant for copy in _alike(one, index, here, max_bits)}
    found = [*meant, *sorted(copies, key=lambda image: (image.source, image.sha256, image.id))]
    rows = dict.fromkeys(BlockedRow(image.id, image.sha256, image.looks, max_bits) for image in found)
    return Wanted(asked, tuple(rows), tuple(sorted({image.source for image in found})))


def _meant(root: Path, index: Index, here: Iterable[Image], asked: str) -> list[Image]:
    """Find the picture itself."""
    if Path(asked).is_file():
        return [_of_file(Path(asked))]
    is_digest = re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", asked) is not None
    found = [*index.named(asked), *(image for image in here if asked in (image.id, image.sha256))] if is_digest else []
    for receipt in receipts(root):
        rows = [BlockedRow(**row) for row in receipt.pictures]
        if asked == receipt.asked or any(asked in (row.id, row.sha256) for row in rows):
            found += [Image(0, row.id, row.sha256, source, row.phash) for row in rows for source in receipt.sources]
    if not found:
        raise FileNotFoundError(f"there is no file {asked}, and nothing is known of such a digest: name the image")
    return found


def _of_file(path: Path) -> Image:
    data = path.read_bytes()
    try:
        picture = decoded(data, _ANY)
    except Unusable as refusal:
        raise ValueError(f"{path}: {refusal.reason}; {refusal.mend}") from refusal
    return Image(0, picture.id, sha256_of_bytes(data), path.name, perceptual_hash(picture.image))


def _here(root: Path) -> list[Image]:
    """List the dataset as it lies in data/, which no version may have learnt from yet."""
    path = root / PLACES["images"] / "images.jsonl"
    rows = read_rows(path) if path.is_file() else []
    return [Image(0, row["id"], row["source_sha256"], row["source"], row["phash"]) for row in rows]


def _alike(one: Image, index: Index, here: Iterable[Image], max_bits: int) -> list[Image]:
    looks = int(one.looks, 16)
    near = (image for image in here if (int(image.looks, 16) ^ looks).bit_count() <= max_bits)
    return [*index.alike(one.looks, max_bits), *index.named(one.id), *near]
