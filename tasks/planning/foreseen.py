"""The dataset that caption and embed will find, as far as it stands: what stages recorded, read from DVC's cache.

>>> Foreseen(images_of(ingest.outs[0]), captions_of(caption.outs[0]))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dvc.output import Output
from dvc_data.hashfile.tree import Tree

from tasks.images import rows
from tasks.images.rows import CaptionRow, ImageRow
from tasks.planning.count import Certainty


@dataclass(frozen=True)
class Foreseen:
    """Images, and all captions by image where the stage that writes them need not run."""

    images: tuple[ImageRow, ...]
    captions: Mapping[str, str] | None = None
    certainty: Certainty = "exactly"


def images_of(folder: Output) -> tuple[ImageRow, ...]:
    """Read what ingest recorded from the cache; nothing where it never ran, or the cache lost it."""
    path = _cached(folder, "images.jsonl")
    return tuple(rows.read(path, ImageRow)) if path else ()


def captions_of(folder: Output) -> dict[str, str] | None:
    """Read the captions by image from the cache; None where there are none."""
    path = _cached(folder, "captions.jsonl")
    return {row.id: row.caption for row in rows.read(path, CaptionRow)} if path else None


def _cached(folder: Output, name: str) -> Path | None:
    """Find one file of an output as DVC keeps it, whatever lies in its place now."""
    tree = folder.get_obj()
    found = tree.get((name,)) if isinstance(tree, Tree) else None
    if not found or not found[1]:
        return None
    path = Path(folder.cache.oid_to_path(found[1].value))
    return path if path.is_file() else None
