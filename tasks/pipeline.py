"""The stages, said once: the command line, dvc.yaml and the Prefect tasks are all read from `STAGES`.

python -m tasks list
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PLACES: Mapping[str, str] = {
    "source": "${ingest.source}",
    "blocked": "blocked.jsonl",
    "base": "${models.base}",
    "vlm": "${models.vlm}",
    "dino": "${models.dino}",
    "clip": "${models.clip}",
    "novel": "${evaluate.novel}",
    "retention": "${evaluate.retention}",
    "images": "data/images",
    "captions": "data/captions",
    "embeddings": "data/embeddings",
    "probe": "data/probe",
    "adapter": "data/adapter",
    "training_run": "data/training_run.json",
    "scores": "data/scores",
    "version": "data/version",
}
"""Where everything that a stage reads or writes lies, from the root; `${...}` is a key of params.yaml, as in DVC."""


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline; `tasks.<name>` holds its `run(params, room)`.

    `params` are the keys of params.yaml that it may look at, `reads` and `writes` are names in `PLACES`. A stage that
    is not `is_cached` acts on the world outside (the registry), so that no cache may stand in for it. One that
    `goes_on` keeps what it has done when it is asked to end, and begins there the next time. One that `has_shards`
    works image by image: its `lacking(params, room)` names what it would make for them, and its `fill(params, room,
    shard)` makes a part of that ahead, and writes nothing else.
    """

    name: str
    summary: str
    params: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    needs: Literal["cpu", "gpu"] = "cpu"
    is_cached: bool = True
    goes_on: bool = False
    has_shards: bool = False

    @property
    def module(self) -> str:
        """Name the module that does the work."""
        return f"tasks.{self.name}"


@dataclass(frozen=True)
class Room:
    """What the body of a stage is given: places to read, fresh places to write, and a folder that survives a crash.

    `reads` holds one entry more than the table, "parent", where training starts from an earlier version. A place in
    `writes` takes the name it has in `PLACES` when the body returns: a folder is there and empty, a file is not there.
    """

    reads: Mapping[str, Path]
    writes: Mapping[str, Path]
    state: Path


_ENCODER = ("models.family", "models.base", "models.vlm")
_DENOISER = ("models.family", "models.base", "train.parent")
_JUDGES = ("models.vlm", "models.dino", "models.clip")

STAGES: tuple[Stage, ...] = (
    Stage(
        name="ingest",
        summary="take in images, set aside what can't be used",
        params=("ingest",),
        reads=("source", "blocked"),
        writes=("images",),
    ),
    Stage(
        name="caption",
        summary="keep what people wrote, write what is missing",
        params=("caption", "models.vlm"),
        reads=("images", "vlm"),
        writes=("captions",),
        needs="gpu",
        goes_on=True,
        has_shards=True,
    ),
    Stage(
        name="embed",
        summary="encode captions and images once, for student and teacher",
        params=("embed", "caption.placeholder", *_ENCODER),
        reads=("images", "captions", "base", "vlm"),
        writes=("embeddings",),
        needs="gpu",
        goes_on=True,
        has_shards=True,
    ),
    Stage(
        name="probe",
        summary="ask whether the teacher is better than the student",
        params=("probe", "train.num_steps", *_DENOISER, *_JUDGES),
        reads=("images", "embeddings", "base", "vlm", "dino"),
        writes=("probe",),
        needs="gpu",
    ),
    Stage(
        name="train",
        summary="distil the teacher into an adapter, on the student's own path",
        params=("train", "models.family", "models.base", "models.undistilled", "models.dedistillation"),
        reads=("embeddings", "probe", "base"),
        writes=("adapter", "training_run"),
        needs="gpu",
        goes_on=True,
    ),
    Stage(
        name="evaluate",
        summary="score base, parent and adapter on the same prompts and seeds",
        params=("evaluate", "caption.placeholder", "train.num_steps", *_DENOISER, *_JUDGES),
        reads=("images", "captions", "embeddings", "adapter", "base", "vlm", "dino", "clip", "novel", "retention"),
        writes=("scores",),
        needs="gpu",
    ),
    Stage(
        name="register",
        summary="keep the adapter with its lineage, promote it if it earned that",
        params=("register", "models", "train.parent"),
        reads=("images", "captions", "embeddings", "probe", "adapter", "training_run", "scores"),
        writes=("version",),
        is_cached=False,
    ),
)


def stage(name: str) -> Stage:
    """Look up a stage; raises ValueError listing the names there are."""
    for row in STAGES:
        if row.name == name:
            return row
    raise ValueError(f"there is no stage {name!r}: choose one of {', '.join(row.name for row in STAGES)}")


def producer(place: str) -> Stage | None:
    """Find the stage that writes `place`; None for what comes from outside."""
    return next((row for row in STAGES if place in row.writes), None)


def from_stage(name: str) -> tuple[Stage, ...]:
    """List a stage and all that stand to its right."""
    return STAGES[STAGES.index(stage(name)) :]
