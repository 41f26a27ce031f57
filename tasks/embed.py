"""Turn every image and its caption into what training reads: student context, teacher context, latents.

    python -m tasks run embed

Each of the three is computed once: an edited caption costs two contexts, a new image costs its own three entries.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

from dopsd.dataset.examples import save_example
from dopsd.families.catalogue import family
from dopsd.family import Encoder
from dopsd.placement import fastest
from tasks.folders import Row, sha256_of_file, write_manifest, write_rows
from tasks.images.dataset import Pair, dataset
from tasks.params import Params
from tasks.pipeline import Room
from tasks.planning.fingerprint import running
from tasks.sections import Embed
from tasks.stores.batches import batches
from tasks.stores.entries import Origin
from tasks.stores.making import MAKERS, Shown, assembled, shown
from tasks.stores.readings import keys, readings, shelf_of
from tasks.stores.shard import WHOLE, Shard
from tasks.stores.shelf import Shelf, store, tell

Load = Callable[[], Encoder]
_Shelves = dict[str, Shelf[list[Shown]]]


def run(params: Params, room: Room) -> None:
    """Fill `data/embeddings`; raises ValueError naming the key of what the family can't encode."""
    settings, folder = params.embed, room.writes["embeddings"]
    pairs = dataset(room, settings)
    origin = Origin.of(params, room.reads, room.state.parent, running())
    shelves = _shelves(pairs, params, room, origin)
    computed = _encoded(shelves, pairs, params, WHOLE)
    index = [
        _written(pair, {name: shelf[position] for name, shelf in shelves.items()}, folder)
        for position, pair in enumerate(pairs)
    ]
    write_rows(folder / "index.jsonl", index)
    write_manifest(folder, "embed", _said(settings, origin.teacher_context), {"entries": len(index)})
    damaged = [path for shelf in shelves.values() for path in shelf.kept.damaged]
    tell("embed", len(computed), len(pairs), damaged, room)


def fill(params: Params, room: Room, shard: Shard) -> None:
    """Make a shard of the entries, for `run` to find; raises as `run` does."""
    pairs = dataset(room, params.embed)
    origin = Origin.of(params, room.reads, room.state.parent, running())
    _encoded(_shelves(pairs, params, room, origin), pairs, params, shard)


def lacking(params: Params, room: Room) -> dict[str, list[str]]:
    """Name the entries that `run` would make, by their kind."""
    pairs, found = dataset(room, params.embed), dict[str, list[str]]()
    origin = Origin.of(params, room.reads, room.state.parent, running())
    for name, shelf in _shelves(pairs, params, room, origin).items():
        found.setdefault(shelf_of(name), []).extend(shelf.keys[position] for position in shelf.missing())
    return found


def _encoded(shelves: _Shelves, pairs: Sequence[Pair], params: Params, shard: Shard) -> set[int]:
    """Have a shard of all entries there; gives the positions of the pairs for which some were made."""
    computed = set[int]()
    for name, shelf in shelves.items():
        missing = sorted(
            shelf.missing(shard), key=lambda at: (pairs[at].size, len(pairs[at].caption))
        )  # like meets like
        shelf.fill(batches(missing, params.embed.batch_size), f"embed {name}")
        computed |= set(missing)
    return computed


def _said(settings: Embed, teacher_context: str) -> dict[str, Any]:
    """Spell the params out; what was the only way once stays unsaid, so that nobody trains again for a word."""
    later = {"bucket_step_px": 0, "teacher_context": "vlm", "teacher_image": "target"}
    later |= {"pairing_seed": 0, "class_noun": ""}
    said = settings.model_dump(mode="json") | {"teacher_context": teacher_context}
    return {key: value for key, value in said.items() if key not in later or value != later[key]}


def _shelves(pairs: Sequence[Pair], params: Params, room: Room, origin: Origin) -> _Shelves:
    """Lay out what is needed of each kind; the encoder is loaded for the first entry that is missing."""
    encoder = cache(partial(_loaded, params, room, origin.teacher_context))
    found = readings(pairs, params)
    named = keys(found, origin)
    return {
        name: Shelf(
            store(room, shelf_of(name)),
            named[name],
            partial(_read, kind, read),
            partial(_made, kind, encoder),
            _of(kind, read),
        )
        for name, (kind, read) in found.items()
    }


def _of(kind: str, pairs: Sequence[Pair]) -> list[str]:
    """Name the pictures that entries are made from; a student's is made from its caption."""
    return [] if kind == "student" else [pair.id for pair in pairs]


def _loaded(params: Params, room: Room, teacher_context: str) -> Encoder:
    """Load the encoder side, once something is missing; raises ValueError for a size that it can't take."""
    load = family(params.models.family).load_encoder
    encoder = load(room.reads["base"], room.reads["vlm"], fastest(), teacher_context)
    key = "bucket_step_px" if params.embed.bucket_step_px else "image_side_px"
    said, multiple = getattr(params.embed, key), encoder.size_multiple
    if said % multiple:
        near = max(1, round(said / multiple)) * multiple
        raise ValueError(f"embed.{key} is {said}: the family needs a multiple of {multiple}, such as {near}")
    return encoder


def _read(kind: str, pairs: Sequence[Pair], positions: Sequence[int]) -> list[Shown]:
    return [shown(kind, pairs[position]) for position in positions]


def _made(kind: str, encoder: Load, rows: Sequence[Shown]) -> Iterator[bytes]:
    """Compute the entries of `rows`.

    On a CPU one at a time: its last bits depend on the size of the batch, and so would a rerun on what was there
    already. A GPU is asked for whole batches of one size; what it gives is equal within its tolerance only.
    """
    size = 1 if fastest().device.type == "cpu" else len(rows)
    for _, alike in groupby(rows, key=lambda row: row[1] and row[1].size):
        for some in batches(list(alike), size):
            yield from MAKERS[kind](encoder(), some)


def _written(pair: Pair, entries: dict[str, bytes], folder: Path) -> Row:
    """Write the file that training reads, and say its digest."""
    path = folder / "entries" / f"{pair.id}.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_example(assembled(pair, entries), path)
    others = {"others": pair.others} if pair.others else {}
    cut = {"width": pair.size[0], "height": pair.size[1], "crop": pair.crop} if pair.crop else {}
    return {"id": pair.id, "caption": pair.caption, "sha256": sha256_of_file(path)} | others | cut
