"""Where one image went: datasets that hold it, versions that learnt from it, all that descends from those, what serves.

>>> spread(Path(), "dopsd", "photo.jpg", max_bits=6)

Found are the same bytes, the same pixels in another file, and copies that look alike: made anew, resized, recoloured.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tasks.ancestry.index import Image, Index, opened
from tasks.ancestry.records import Record, records
from tasks.ancestry.tree import aliases, descendants
from tasks.folders import sha256_of_bytes
from tasks.images.duplicates import perceptual_hash
from tasks.images.picture import Limits, Unusable, decoded
from tasks.versions import ledger

Kind = Literal["same bytes", "same pixels", "looks alike"]


@dataclass(frozen=True)
class Match:
    """An image of some dataset, how it matches what was asked for, and how many of 64 bits of their looks differ."""

    image: Image
    kind: Kind
    bits: int


@dataclass(frozen=True)
class Spread:
    """What is known of an image.

    `datasets` are DVC's digests. `trained` learnt from it, `descendants` were trained on from those; `runs` are those
    of both in MLflow, and `aliases` what serves of both. `unread` says why a file cannot be read as an image: of such a
    one only the bytes were looked up, and no looks compared.
    """

    asked: str
    matches: list[Match]
    datasets: list[str]
    trained: list[str]
    descendants: list[str]
    runs: Mapping[str, str]
    aliases: Mapping[str, str]
    unread: str | None = None


def spread(root: Path, model: str, asked: str, max_bits: int) -> Spread:
    """Follow an image: a file, or the digest of one that is gone (of its bytes, or the id of its pixels).

    Raises FileNotFoundError where `asked` is neither.
    """
    known = records(root, model)
    with opened(root, known) as index:
        matches, unread = _matches(index, asked, max_bits)
        return replace(_followed(root, model, known, index, asked, matches), unread=unread)


def reached(root: Path, model: str, known: Mapping[str, Record], asked: str, ids: Iterable[str]) -> Spread:
    """Follow pictures by the ids of their pixels, all of them together."""
    with opened(root, known) as index:
        matches = [Match(image, "same pixels", 0) for identity in ids for image in index.named(identity)]
        return _followed(root, model, known, index, asked, matches)


def _followed(
    root: Path, model: str, known: Mapping[str, Record], index: Index, asked: str, matches: list[Match]
) -> Spread:
    blobs = index.datasets_of(match.image for match in matches)
    trained = [version for version, record in known.items() if record.images in blobs]
    heirs = descendants(known, set(trained))
    hit = {*trained, *heirs}
    live = aliases(ledger.of_model(ledger.read(root), model))
    return Spread(
        asked,
        matches,
        sorted({str(known[version].lineage["dataset"]) for version in trained}),
        trained,
        heirs,
        {version: record.run_id for version, record in known.items() if version in hit},
        {alias: version for alias, version in live.items() if version in hit},
    )


def _matches(index: Index, asked: str, max_bits: int) -> tuple[list[Match], str | None]:
    """Find what matches, the nearest first; and say why a file cannot be read as an image."""
    path = Path(asked)
    if not path.is_file():
        if not re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", asked):
            raise FileNotFoundError(f"there is no file {asked}: name an image, or the digest of one")
        named = index.named(asked)
        return [Match(image, "same bytes" if image.sha256 == asked else "same pixels", 0) for image in named], None
    data = path.read_bytes()
    digest = sha256_of_bytes(data)
    try:
        picture = decoded(data, Limits(max_megapixels=1000, min_side_px=1))
    except Unusable as wrong:  # no image that could have been trained on, but its bytes may be known
        return [Match(image, "same bytes", 0) for image in index.named(digest)], wrong.reason
    near = index.alike(perceptual_hash(picture.image), max_bits) | dict.fromkeys(index.named(picture.id), 0)
    found = [Match(image, _kind(image, digest, picture.id), bits) for image, bits in near.items()]
    return sorted(found, key=lambda match: (match.bits, match.kind, match.image.source)), None


def _kind(image: Image, digest: str, identity: str) -> Kind:
    if image.sha256 == digest:
        return "same bytes"
    return "same pixels" if image.id == identity else "looks alike"
