"""Give every image a caption: people's captions are kept, a vision-language model writes the missing ones.

python -m tasks run caption
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from dopsd.captioner import Captioner
from dopsd.placement import fastest
from dopsd.pretrained import named
from tasks import rows
from tasks.batches import batches
from tasks.caption_text import with_placeholder
from tasks.dataset import stored
from tasks.folders import write_manifest
from tasks.params import Params
from tasks.pipeline import Room
from tasks.progress import track
from tasks.rows import CaptionRow, ImageRow
from tasks.sections import Caption
from tasks.shelf import Shelf, store, tell
from tasks.store import key_of

SCHEMA = 1  # raise it when the same key would give another caption


def run(params: Params, room: Room) -> None:
    """Fill `data/captions`; raises ValueError naming an image that the model has no word for."""
    images = rows.read(room.reads["images"] / "images.jsonl", ImageRow)
    kept = [_kept(image, image.caption, params.caption.placeholder) for image in images if image.caption]
    written = _written([image for image in images if not image.caption], params, room)
    folder = room.writes["captions"]
    rows.write(folder / "captions.jsonl", [*kept, *written])
    counts = {"human": len(kept), "vlm": len(written)}
    write_manifest(folder, "caption", params.caption.model_dump(mode="json"), counts)


def _kept(image: ImageRow, caption: str, placeholder: str) -> CaptionRow:
    """Keep a person's words as they are, and say so where they leave the concept out."""
    notes = () if placeholder in caption else (f"does not name the concept: there is no {placeholder} in it",)
    return CaptionRow(image.id, caption, "human", None, notes)


def _written(images: Sequence[ImageRow], params: Params, room: Room) -> list[CaptionRow]:
    """Let the model describe `images`, each once while the store lives; it is loaded for the first new one."""
    model, settings = named(room.reads["vlm"]), params.caption
    captioner = cache(partial(Captioner, room.reads["vlm"], fastest()))
    describe = partial(_described, images, room.reads["images"], settings.instruction, captioner)
    shelf = Shelf(store(room, "captions"), [_key(image, model, settings.instruction) for image in images], describe)
    missing = shelf.missing()
    pieces = batches(missing, settings.batch_size)
    shelf.fill(track(pieces, len(pieces), "caption"))
    tell("caption", len(missing), len(images), shelf.kept.damaged, room)
    return [_row(image, shelf[position].decode(), model, settings) for position, image in enumerate(images)]


def _key(image: ImageRow, model: str, instruction: str) -> str:
    revision = model.rpartition("@")[2]
    parts = {"schema": SCHEMA, "image": image.id, "model": revision, "instruction": instruction}
    return key_of(parts | {"dtype": str(fastest().dtype)})


def _described(
    images: Sequence[ImageRow],
    folder: Path,
    instruction: str,
    captioner: Callable[[], Captioner],
    positions: Sequence[int],
) -> Iterator[bytes]:
    """Yield what the model says of each picture; raises ValueError naming one it says nothing of."""
    some = [images[position] for position in positions]
    texts = captioner().captions([stored(folder / image.file) for image in some], instruction)
    for image, text in zip(some, texts, strict=True):
        if not text.strip():
            raise ValueError(f"the captioner has no word for {image.source}: write a caption into a .txt beside it")
        yield " ".join(text.split()).encode()


def _row(image: ImageRow, text: str, model: str, settings: Caption) -> CaptionRow:
    """Put the placeholder in front where the instruction asks for it and the model forgot it."""
    if settings.placeholder not in settings.instruction:
        return CaptionRow(image.id, text, "vlm", model)
    caption = with_placeholder(text, settings.placeholder)
    notes = () if caption == text else (f"{settings.placeholder} put in front",)
    return CaptionRow(image.id, caption, "vlm", model, notes)
