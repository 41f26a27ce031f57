"""Turn every image and its caption into what training reads: student context, teacher context, latents.

    python -m tasks run embed

Each of the three is computed once: an edited caption costs two contexts, a new image costs its own three entries.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from dopsd.examples import save_example
from dopsd.families.catalogue import family
from dopsd.family import Encoder
from dopsd.placement import fastest
from dopsd.pretrained import revision
from tasks.dataset import Pair, dataset
from tasks.entries import KINDS, Origin, assembled
from tasks.folders import Row, sha256_of_file, write_manifest, write_rows
from tasks.params import Params
from tasks.pipeline import Room
from tasks.progress import track
from tasks.store import Reuse, fetch, in_chunks, store, tell

Load = Callable[[], Encoder]


def run(params: Params, room: Room) -> None:
    """Fill `data/embeddings`; raises ValueError naming the key of a size that the family can't encode."""
    settings, folder = params.embed, room.writes["embeddings"]
    weights = revision(room.reads["base"]), revision(room.reads["vlm"])
    origin = Origin(params.models.family, *weights, str(fastest().dtype))
    encoder = cache(partial(_loaded, params, room))
    stores = {name: store(room, name) for name in KINDS}
    index, reuse = list[Row](), Reuse()
    for chunk in in_chunks(dataset(room, settings.image_side_px)):
        found, missed = {}, set[int]()
        for name in KINDS:
            keys = [KINDS[name].key(pair, origin) for pair in chunk]
            make = partial(_made, name, chunk, settings.batch_size, encoder)
            found[name], fresh = fetch(stores[name], keys, make)
            missed |= fresh
        index += [_written(pair, {name: found[name][at] for name in KINDS}, folder) for at, pair in enumerate(chunk)]
        reuse += Reuse(len(missed), len(chunk) - len(missed))
    write_rows(folder / "index.jsonl", index)
    write_manifest(folder, "embed", settings.model_dump(mode="json"), {"entries": len(index)})
    tell("embed", reuse, stores.values(), room)


def _loaded(params: Params, room: Room) -> Encoder:
    """Load the encoder side, once something is missing; raises ValueError for a size that it can't take."""
    load = family(params.models.family).load_encoder
    encoder = load(room.reads["base"], room.reads["vlm"], fastest())
    side, multiple = params.embed.image_side_px, encoder.size_multiple
    if side % multiple:
        near = max(1, round(side / multiple)) * multiple
        raise ValueError(f"embed.image_side_px is {side}: the family needs a multiple of {multiple}, such as {near}")
    return encoder


def _made(
    name: str, pairs: Sequence[Pair], batch_size: int, encoder: Load, positions: Sequence[int]
) -> Iterator[tuple[int, bytes]]:
    """Compute one kind of entry at `positions`; captions of like length meet, for the encoder batches equal ones."""
    ordered = sorted(positions, key=lambda position: (len(pairs[position].caption), position))
    for batch in track(in_chunks(ordered, batch_size), -(-len(ordered) // batch_size), f"embed {name}"):
        yield from zip(batch, KINDS[name].make(encoder(), [pairs[position] for position in batch]), strict=True)


def _written(pair: Pair, entries: dict[str, bytes], folder: Path) -> Row:
    """Write the file that training reads, and say its digest."""
    path = folder / "entries" / f"{pair.id}.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_example(assembled(pair, entries), path)
    return {"id": pair.id, "caption": pair.caption, "sha256": sha256_of_file(path)}
