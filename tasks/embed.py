"""Turn every image and its caption into what training reads: student context, teacher context, latents.

    python -m tasks run embed

Each of the three is computed once: an edited caption costs two contexts, a new image costs its own three entries.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from dopsd.examples import save_example
from dopsd.families.catalogue import family
from dopsd.family import Encoder, TeacherContext
from dopsd.placement import fastest
from dopsd.pretrained import revision
from tasks.batches import batches
from tasks.dataset import Pair, dataset
from tasks.entries import Kind, Origin, assembled
from tasks.folders import Row, sha256_of_file, write_manifest, write_rows
from tasks.params import Params
from tasks.pipeline import Room
from tasks.progress import track
from tasks.readings import readings
from tasks.sections import Embed
from tasks.shelf import Shelf, store, tell

Load = Callable[[], Encoder]


def run(params: Params, room: Room) -> None:
    """Fill `data/embeddings`; raises ValueError naming the key of what the family can't encode."""
    settings, folder = params.embed, room.writes["embeddings"]
    pairs, teacher_context = dataset(room, settings.image_side_px), _teacher_context(params)
    shelves, computed = _shelves(pairs, params, room, teacher_context), set[int]()
    for kind, shelf in shelves.items():
        missing = sorted(shelf.missing(), key=lambda position: len(pairs[position].caption))  # like lengths meet
        pieces = batches(missing, settings.batch_size)
        shelf.fill(track(pieces, len(pieces), f"embed {kind}"))
        computed |= set(missing)
    index = [
        _written(pair, {kind: shelf[position] for kind, shelf in shelves.items()}, folder)
        for position, pair in enumerate(pairs)
    ]
    write_rows(folder / "index.jsonl", index)
    write_manifest(folder, "embed", _said(settings, teacher_context), {"entries": len(index)})
    damaged = [path for shelf in shelves.values() for path in shelf.kept.damaged]
    tell("embed", len(computed), len(pairs), damaged, room)


def _teacher_context(params: Params) -> TeacherContext:
    """Settle how the teacher is shown a picture; raises ValueError naming the key of a way that the family lacks."""
    try:
        return family(params.models.family).teacher_context(params.embed.teacher_context)
    except ValueError as error:
        raise ValueError(f"embed.{error}") from error


def _said(settings: Embed, teacher_context: TeacherContext) -> dict[str, Any]:
    """Spell the params out; what was the only way once stays unsaid, so that nobody trains again for a word."""
    later = {"teacher_context": "vlm", "teacher_image": "target", "pairing_seed": 0, "class_noun": ""}
    said = settings.model_dump(mode="json") | {"teacher_context": teacher_context}
    return {key: value for key, value in said.items() if key not in later or value != later[key]}


def _shelves(pairs: Sequence[Pair], params: Params, room: Room, teacher_context: TeacherContext) -> dict[str, Shelf]:
    """Lay out what is needed of each kind; the encoder is loaded for the first entry that is missing."""
    weights = revision(room.reads["base"]), revision(room.reads["vlm"])
    origin = Origin(params.models.family, *weights, str(fastest().dtype), teacher_context)
    encoder = cache(partial(_loaded, params, room, teacher_context))
    return {
        name: Shelf(store(room, name), [kind.key(pair, origin) for pair in read], partial(_made, kind, read, encoder))
        for name, (kind, read) in readings(pairs, params).items()
    }


def _loaded(params: Params, room: Room, teacher_context: TeacherContext) -> Encoder:
    """Load the encoder side, once something is missing; raises ValueError for a size that it can't take."""
    load = family(params.models.family).load_encoder
    encoder = load(room.reads["base"], room.reads["vlm"], fastest(), teacher_context)
    side, multiple = params.embed.image_side_px, encoder.size_multiple
    if side % multiple:
        near = max(1, round(side / multiple)) * multiple
        raise ValueError(f"embed.image_side_px is {side}: the family needs a multiple of {multiple}, such as {near}")
    return encoder


def _made(kind: Kind, pairs: Sequence[Pair], encoder: Load, positions: Sequence[int]) -> Iterator[bytes]:
    """Compute the entries at `positions`.

    On a CPU one at a time: its last bits depend on the size of the batch, and so would a rerun on what was there
    already. A GPU is asked for whole batches; what it gives is equal within its tolerance only.
    """
    size = 1 if fastest().device.type == "cpu" else len(positions)
    for some in batches(positions, size):
        yield from kind.make(encoder(), [pairs[position] for position in some])


def _written(pair: Pair, entries: dict[str, bytes], folder: Path) -> Row:
    """Write the file that training reads, and say its digest."""
    path = folder / "entries" / f"{pair.id}.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_example(assembled(pair, entries), path)
    return {"id": pair.id, "caption": pair.caption, "sha256": sha256_of_file(path)}
