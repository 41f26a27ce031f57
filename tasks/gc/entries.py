"""The stores of single images: the entries that no kept dataset would ask for, as code and models are now.

>>> list(entries(Path(), roots))

An entry is named by the digest of all that makes it. So the question is which entries a run of any kept dataset would
look for today; what only older code or another model asked for is as good as gone.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.ancestry.records import CAPTIONS, IMAGES, Record, contents, lines
from tasks.folders import sha256_of_json
from tasks.gc.piece import Piece, piece, touched
from tasks.gc.roots import Roots
from tasks.images.buckets import fitting
from tasks.images.dataset import Pair
from tasks.params import Params, load, parse
from tasks.pipeline import PLACES
from tasks.planning.fingerprint import running
from tasks.runner import RUNS
from tasks.stores.entries import Origin, caption_keys
from tasks.stores.readings import keys, readings

_STORE = RUNS / "store"


@dataclass(frozen=True)
class Dataset:
    """Images and captions, as rows of their files, and the params that they were trained on with."""

    params: Params
    images: list[dict[str, Any]]
    captions: list[dict[str, Any]]


def entries(root: Path, roots: Roots) -> Iterator[Piece]:
    """List what may go; raises FileNotFoundError where a model that params.yaml names is not there to ask by."""
    there = [path for path in sorted((root / _STORE).glob("*/??/*")) if touched(path) < roots.recent]
    if not there:
        return
    wanted = _wanted(root, roots)
    for path in there:
        if f"{path.parent.name}{path.name}" not in wanted:
            yield piece("entry", path, "no image of a kept dataset would use it now")


def _wanted(root: Path, roots: Roots) -> set[str]:
    """Gather the keys that runs of all kept datasets would ask for, the workspace's own included."""
    code, params = running(), load(root)
    for name in (params.models.base, params.models.vlm):
        if not (root / name).is_dir():
            raise FileNotFoundError(f"there is no {name}, by which entries of images are known: put the model back")
    found = set[str]()
    for dataset in (*_here(root, params), *_recorded(root, roots)):
        if all((root / name).is_dir() for name in (dataset.params.models.base, dataset.params.models.vlm)):
            with suppress(ValueError):  # a family or a way to show pictures that this code no longer has
                found |= set(_keys(dataset, root, code))
    return found


def _here(root: Path, params: Params) -> Iterator[Dataset]:
    images, captions = root / PLACES["images"] / IMAGES, root / PLACES["captions"] / CAPTIONS
    if images.is_file():
        yield Dataset(params, lines(images.read_bytes()), lines(captions.read_bytes()) if captions.is_file() else [])


def _recorded(root: Path, roots: Roots) -> Iterator[Dataset]:
    """Read the datasets of the versions that stay, each once; params that this code does not know are passed over."""
    for record in {_read(record): record for record in roots.kept.values()}.values():
        if record.images and record.captions:
            said = contents(root, [record.images, record.captions])
            images, captions = (lines(said[blob][1]) for blob in (record.images, record.captions))
            with suppress(ValueError):
                yield Dataset(parse(record.lineage["params"]), images, captions)


def _read(record: Record) -> str:
    """Digest what decides which entries a version read."""
    params = [record.lineage["params"].get(section) for section in ("models", "caption", "embed")]
    return sha256_of_json([record.images, record.captions, params])


def _keys(dataset: Dataset, root: Path, code: Mapping[str, str]) -> Iterator[str]:
    """Ask for the entries as the stages caption and embed do."""
    params, runs = dataset.params, root / RUNS
    models = {"base": root / params.models.base, "vlm": root / params.models.vlm}
    silent = [row["id"] for row in dataset.images if not row.get("caption")]
    yield from caption_keys(silent, params, models["vlm"], runs, code)
    if pairs := _pairs(dataset):
        named = keys(readings(pairs, params), Origin.of(params, models, runs, code))
        yield from (key for some in named.values() for key in some)


def _pairs(dataset: Dataset) -> list[Pair]:
    said = {row["id"]: row for row in dataset.captions}
    found = [(row, said[row["id"]]) for row in dataset.images if row["id"] in said]
    return [_pair(image, words, dataset.params) for image, words in found]


def _pair(image: Mapping[str, Any], words: Mapping[str, Any], params: Params) -> Pair:
    size = fitting((image["width"], image["height"]), params.embed)
    return Pair(image["id"], image["source"], words["caption"], Path(), size, tuple(words.get("others", ())))
