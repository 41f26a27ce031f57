"""Pictures that a version and those before it learnt, mixed in among new ones, so that they are learnt again.

    dopsd run --parent champion        (with `replay: {share: 0.5}` in params.yaml)

They come out of DVC into the folder `replayed` of `ingest.source`, each with its caption beside it. From there on they
are pictures like all others: the record of a version names them, and a takedown finds them.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from random import Random

from tasks.ancestry.records import BASE, Record, contents, lines, records
from tasks.ancestry.tree import ancestors, chosen
from tasks.folders import sha256_of_bytes, staged_folder, write_text
from tasks.images.dataset import REPLAYED, is_replayed
from tasks.images.metadata import is_table
from tasks.images.picture import Unusable
from tasks.images.sidecar import is_sidecar
from tasks.images.source import files
from tasks.params import Params
from tasks.versions.stored import Stores, stores


@dataclass(frozen=True)
class Old:
    """A picture that `version` learnt first, its caption there, and DVC's digest of it."""

    version: str
    name: str
    caption: str
    md5: str


def mix_in(root: Path, parent: str, params: Params) -> int:
    """Fill the folder anew with pictures of `parent` and all before it, as many as the share asks for; counts them.

    Every version of the line gives as many, drawn at random by the name of the parent, so that the same command mixes
    in the same pictures. Raises ValueError where `ingest.source` is an archive, which we do not pack anew.
    """
    source = root / params.ingest.source
    if parent == BASE or not params.replay.share:
        drawn = []
    elif source.is_dir():
        new = _digests(source, params)
        wanted = round(len(new) * params.replay.share / (1 - params.replay.share))
        drawn = _drawn(root, parent, params.register.model, new)[:wanted]
    else:
        raise ValueError(f"replay.share wants a folder, and ingest.source is {source}: name one, or set it to 0")
    if drawn or (source / REPLAYED).is_dir():
        _lay_out(root, drawn, source / REPLAYED)
    return len(drawn)


def _digests(source: Path, params: Params) -> set[str]:
    """Digest the pictures that are new, leaving out files that ingest could not read either."""
    found = set()
    for file in files(source, int(params.ingest.max_megabytes * 1e6)):
        is_beside = is_sidecar(file.name) or is_table(file.name) or is_replayed(file.name)
        with suppress(Unusable):
            found.update([] if is_beside or file.is_skipped else [sha256_of_bytes(file.read())])
    return found


def _drawn(root: Path, parent: str, model: str, new: set[str]) -> list[Old]:
    """Shuffle what each version of the line learnt first, and let them take turns."""
    known, chance, seen = records(root, model), Random(parent), set(new)
    line = [chosen(root, model, known, parent), *(known[name] for name in ancestors(known, parent) if name in known)]
    with stores(root) as stored:
        pools = [list(_learnt_first(root, record, stored, seen)) for record in reversed(line)]
    for pool in pools:
        chance.shuffle(pool)
    chance.shuffle(pools)
    return [old for old in chain.from_iterable(zip_longest(*pools)) if old]


def _learnt_first(root: Path, record: Record, stored: Stores, seen: set[str]) -> Iterator[Old]:
    """List what a version learnt that no one before it had, and that DVC still keeps; `seen` grows by it."""
    dataset = record.lineage["dataset"]
    if not (record.images and record.captions) or stored.complaint(dataset, is_strict=False):
        return
    told, kept = contents(root, [record.images, record.captions]), stored.files(dataset)
    captions = {row["id"]: row["caption"] for row in lines(told[record.captions][1])}
    for row in lines(told[record.images][1]):
        if row["source_sha256"] not in seen and not is_replayed(row["source"]):
            seen.add(row["source_sha256"])
            yield Old(record.version, Path(row["file"]).name, captions[row["id"]], kept[row["file"]])


def _lay_out(root: Path, drawn: Sequence[Old], place: Path) -> None:
    with staged_folder(place) as staged, stores(root) as stored:
        for old in drawn:
            picture = staged / old.version / old.name
            stored.bring(old.md5, picture)
            write_text(picture.with_suffix(".txt"), f"{old.caption}\n")
