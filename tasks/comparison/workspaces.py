"""Workspaces of a comparison: one a concept and one a cell, each with a params.yaml of its own.

    report/concepts/star/                               ingest, caption, embed, probe: once a concept
    report/cells/star/dopsd-lora-ema-0.9999-6e-05-0-40/ train, evaluate; what a person could run there by hand

What is finished stays finished: a cell is done when its record has the digest of all that decides its numbers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from dopsd.pretrained import revision
from dopsd.recipe import decisive
from tasks.comparison.cells import Cell
from tasks.comparison.concepts import Concept
from tasks.folders import read_json, read_yaml, sha256_of_file, sha256_of_folder, sha256_of_json, write_json, write_text
from tasks.images.blocked import blocked
from tasks.params import Params, resolved
from tasks.pipeline import PLACES
from tasks.scoring.base_walks import FOLDER

PREPARED = ("images", "captions", "embeddings", "probe")
"""What all cells of a concept share, beside what the base drew."""
BASE_WALKS = f"runs/evaluate/{FOLDER}"
_RECORD = "cell.json"
_BLOCKED = Path(PLACES["blocked"])


@dataclass(frozen=True)
class Record:
    """What a finished cell cost: processor seconds (GPU-seconds where there is one) of training up to it, of scoring.

    What a kill lost is not counted: a training that went on from a checkpoint counts from there.
    """

    identity: str
    train_seconds: float
    evaluate_seconds: float


def lay_out_concept(concept: Concept, params: Params, out: Path) -> Path:
    """Write the workspace that prepares a concept."""
    folder = out / "concepts" / concept.name
    write_text(folder / _BLOCKED, _BLOCKED.read_text(encoding="utf-8"))
    write_text(folder / "novel.txt", "".join(f"{text}\n" for text in concept.novel))
    _write_params(folder, _about(concept, params, folder))
    return folder


def lay_out(cell: Cell, concept: Concept, params: Params, out: Path) -> Path:
    """Write the workspace of a cell; what its concept has prepared is linked there."""
    shared, folder = out / "concepts" / concept.name, cell.folder(out)
    said = _about(concept, params, shared)
    training = replace(cell.training, sample_every=0)  # nobody looks, and seconds are compared
    _write_params(folder, said | {"train": resolved(replace(params, train=training))["train"]})
    (shared / BASE_WALKS).mkdir(parents=True, exist_ok=True)
    for place in (*(PLACES[place] for place in PREPARED), BASE_WALKS):
        link = folder / place
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to((shared / place).resolve())
    return folder


def source_identity(folder: Path) -> str:
    """Digest what decides what a concept prepares: params, weights, its images and captions, and what is blocked."""
    said = _params(folder)
    numbers = [said[section] for section in ("caption", "embed", "probe")]
    refused = [asdict(row) for row in blocked(folder / _BLOCKED).rows]
    found = [numbers, said["train"]["num_steps"], _models(said), sha256_of_folder(_source(said)), *refused]
    return sha256_of_json(found)


def identity(folder: Path) -> str:
    """Digest what decides a cell's numbers: its params, the weights of its models, what its concept prepared."""
    said = _params(folder)
    parts = [sha256_of_folder(folder / PLACES[place]) for place in PREPARED]
    parts += [sha256_of_file(Path(said["evaluate"][panel])) for panel in ("novel", "retention")]
    numbers = [decisive(said["train"]), said["evaluate"], said["embed"]]
    return sha256_of_json([numbers, _models(said), parts])


def finished(folder: Path) -> Record | None:
    """Read a cell's record; None where it has none, or one of other params, models or images."""
    path = folder / _RECORD
    record = Record(**read_json(path)) if path.is_file() else None
    return record if record and record.identity == identity(folder) else None


def finish(folder: Path, *, train_seconds: float, evaluate_seconds: float) -> None:
    """Write a cell's record, last of all."""
    write_json(folder / _RECORD, asdict(Record(identity(folder), round(train_seconds, 2), round(evaluate_seconds, 2))))


def _about(concept: Concept, params: Params, shared: Path) -> dict[str, Any]:
    """Say params.yaml for a concept; every path is absolute, as a workspace may lie anywhere."""
    said: dict[str, Any] = resolved(params)
    paths = {key: str(Path(path).resolve()) for key, path in said["models"].items() if key != "family" and path}
    return said | {
        "models": said["models"] | paths,
        "ingest": said["ingest"] | {"source": str(concept.folder.resolve())},
        "embed": said["embed"] | {"class_noun": concept.class_noun},
        "evaluate": said["evaluate"]
        | {
            "novel": str((shared / "novel.txt").resolve()),
            "retention": str(Path(said["evaluate"]["retention"]).resolve()),
            "class_noun": concept.class_noun,
            "kind": concept.kind,
        },
        "register": said["register"] | {"model": f"{said['register']['model']}-compare"},
    }


def _params(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = read_yaml(folder / "params.yaml")
    return said


def _source(said: Mapping[str, Any]) -> Path:
    return Path(said["ingest"]["source"])


def _models(said: Mapping[str, Any]) -> dict[str, str]:
    """Name the family and the weights of every model by digest: where their folders lie does not count."""
    paths = {key: path for key, path in said["models"].items() if key != "family" and path}
    return {"family": said["models"]["family"]} | {key: revision(Path(path)) for key, path in paths.items()}


def _write_params(folder: Path, said: Mapping[str, Any]) -> None:
    write_text(folder / "params.yaml", yaml.safe_dump(dict(said), sort_keys=False, allow_unicode=True))
