"""Give every image a caption: people's captions are kept, a vision-language model writes the missing ones.

    python -m tasks run caption
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

from PIL import Image

from dopsd.captioner import Captioner
from dopsd.placement import fastest
from dopsd.pretrained import named
from tasks import rows
from tasks.caption_text import with_placeholder
from tasks.folders import write_manifest
from tasks.params import Caption, Params
from tasks.pipeline import Room
from tasks.progress import track
from tasks.rows import CaptionRow, ImageRow
from tasks.store import Reuse, fetch, in_chunks, key_of, store, tell

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
    """Let the model describe `images`, each once while the store lives; it is loaded for the first new one"""
    captioner = cache(partial(Captioner, room.reads["vlm"], fastest()))
    model, instruction = named(room.reads["vlm"]), params.caption.instruction
    kept, captions, reuse = store(room, "captions"), list[CaptionRow](), Reuse()
    for chunk in in_chunks(images):
        keys = [_key(image, model, instruction) for image in chunk]
        describe = partial(_described, images=chunk, room=room, params=params, captioner=captioner)
        texts, missed = fetch(kept, keys, describe)
        captions += [_row(image, text.decode(), model, params.caption) for image, text in zip(chunk, texts, strict=True)]
        reuse += Reuse(len(missed), len(chunk) - len(missed))
    tell("caption", reuse, [kept], room)
    return captions


def _key(image: ImageRow, model: str, instruction: str) -> str:
    revision = model.rpartition("@")[2]
    parts = {"schema": SCHEMA, "image": image.id, "model": revision, "instruction": instruction}
    return key_of(parts | {"dtype": str(fastest().dtype)})


def _described(
    positions: Sequence[int],
    *,
    images: Sequence[ImageRow],
    room: Room,
    params: Params,
    captioner: Callable[[], Captioner],
) -> Iterator[tuple[int, bytes]]:
    """Yield what the model says of each picture; raises ValueError naming one it says nothing of."""
    size = params.caption.batch_size
    for batch in track(in_chunks(positions, size), -(-len(positions) // size), "caption"):
        pictures = [Image.open(room.reads["images"] / images[position].file) for position in batch]
        texts = captioner().captions(pictures, params.caption.instruction)
        for position, text in zip(batch, texts, strict=True):
            if not text.strip():
                source = images[position].source
                raise ValueError(f"the captioner has no word for {source}: write a caption into a .txt beside it")
            yield position, " ".join(text.split()).encode()


def _row(image: ImageRow, text: str, model: str, settings: Caption) -> CaptionRow:
    """Put the placeholder in front where the instruction asks for it and the model forgot it."""
    if settings.placeholder not in settings.instruction:
        return CaptionRow(image.id, text, "vlm", model)
    caption = with_placeholder(text, settings.placeholder)
    notes = () if caption == text else (f"{settings.placeholder} put in front",)
    return CaptionRow(image.id, caption, "vlm", model, notes)
