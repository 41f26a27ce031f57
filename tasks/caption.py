"""Give every image a caption: people's captions are kept, a vision-language model writes the missing ones.

python -m tasks run caption
"""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from dopsd.captioner import Captioner
from dopsd.placement import fastest
from tasks.folders import write_manifest
from tasks.images import rows
from tasks.images.caption_rows import kept, written
from tasks.images.dataset import stored
from tasks.images.rows import CaptionRow, ImageRow
from tasks.params import Params
from tasks.pipeline import Room
from tasks.planning.fingerprint import running
from tasks.stores.batches import batches
from tasks.stores.describing import Seen, described
from tasks.stores.entries import caption_keys
from tasks.stores.shard import WHOLE, Shard
from tasks.stores.shelf import Shelf, store, tell
from tasks.stores.weights import revision


def run(params: Params, room: Room) -> None:
    """Fill `data/captions`; raises ValueError naming an image that the model has no word for."""
    images = rows.read(room.reads["images"] / "images.jsonl", ImageRow)
    human = [kept(image, image.caption, params.caption.placeholder) for image in images if image.caption]
    by_model = _by_model([image for image in images if not image.caption], params, room)
    folder = room.writes["captions"]
    rows.write(folder / "captions.jsonl", [*human, *by_model])
    counts = {"human": len(human), "vlm": len(by_model)}
    write_manifest(folder, "caption", params.caption.model_dump(mode="json"), counts)


def fill(params: Params, room: Room, shard: Shard) -> None:
    """Let the model describe a shard of the images, for `run` to find; raises as `run` does."""
    _described(_shelf(_silent(room), params, room), params, shard)


def lacking(params: Params, room: Room) -> dict[str, list[str]]:
    """Name the entries that `run` would make, by their kind."""
    shelf = _shelf(_silent(room), params, room)
    return {"captions": [shelf.keys[position] for position in shelf.missing()]}


def _silent(room: Room) -> list[ImageRow]:
    """List the images that no person wrote about."""
    images = rows.read(room.reads["images"] / "images.jsonl", ImageRow)
    return [image for image in images if not image.caption]


def _by_model(images: Sequence[ImageRow], params: Params, room: Room) -> list[CaptionRow]:
    """Let the model describe `images`, each once while the store lives."""
    vlm, shelf = room.reads["vlm"], _shelf(images, params, room)
    computed = _described(shelf, params, WHOLE)
    tell("caption", computed, len(images), shelf.kept.damaged, room)
    model = f"{vlm.name}@{revision(vlm, room.state.parent)}"
    return [written(image, shelf[position].decode(), model, params.caption) for position, image in enumerate(images)]


def _described(shelf: Shelf[list[Seen]], params: Params, shard: Shard) -> int:
    """Have a shard of the captions there; gives how many were made."""
    missing = shelf.missing(shard)
    shelf.fill(batches(missing, params.caption.batch_size), "caption")
    return len(missing)


def _shelf(images: Sequence[ImageRow], params: Params, room: Room) -> Shelf[list[Seen]]:
    """Lay out what is needed; the model is loaded for the first new image."""
    vlm, ids = room.reads["vlm"], [image.id for image in images]
    captioner = cache(partial(Captioner, vlm, fastest()))
    keys = caption_keys(ids, params, vlm, room.state.parent, running())
    describe = partial(described, captioner, params.caption.instruction)
    return Shelf(store(room, "captions"), keys, partial(_read, images, room.reads["images"]), describe, ids)


def _read(images: Sequence[ImageRow], folder: Path, positions: Sequence[int]) -> list[Seen]:
    return [(images[position], stored(folder / images[position].file)) for position in positions]
