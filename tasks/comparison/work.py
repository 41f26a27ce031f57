"""What a worker of a comparison does: prepare a concept, or train and score cells, each in its own workspace.

python -m tasks.comparison.work report/cells/star/dopsd-lora-ema-0.9999-6e-05-0-{20,40}
"""

import importlib
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from dopsd.families.catalogue import family
from tasks import weak_teacher
from tasks.comparison.workspaces import finish, finished, source_identity
from tasks.environment import settle
from tasks.folders import read_json, staged_folder, write_json
from tasks.params import load
from tasks.pipeline import PLACES, stage
from tasks.runner import RUNS, run

PREPARING = ("ingest", "caption", "embed", "probe")
_RECORD = "concept.json"


def prepare(folder: Path) -> None:
    """Bring images, captions, embeddings and the probe of a concept about, unless they are there already."""
    torch.set_num_threads(1)
    record, identity = folder / _RECORD, source_identity(folder)
    if record.is_file() and read_json(record)["identity"] == identity:
        return
    record.unlink(missing_ok=True)
    seconds = {name: round(_seconds(name, folder), 2) for name in PREPARING}
    write_json(record, {"identity": identity, "seconds": seconds})


def seconds_of(folder: Path) -> dict[str, float]:
    """Read what preparing a concept cost, by stage: processor seconds, or GPU-seconds where there is one."""
    return dict(read_json(folder / _RECORD)["seconds"])


def work(folders: Sequence[Path]) -> None:
    """Train and score cells that are one training at several moments, in the order of time; what is done is left.

    A cell trains on from the one before it. A weak teacher is no reason to leave a cell out.
    """
    torch.set_num_threads(1)
    before: Path | None = None
    for folder in folders:
        if not finished(folder):
            _work(folder, before)
        before = folder


def _work(folder: Path, before: Path | None) -> None:
    spent = 0.0
    if before is not None:
        record = finished(before)
        assert record is not None, f"{before} comes first"
        spent = record.train_seconds
        _go_on(before / RUNS / "train", folder / RUNS / "train")
    if weak_teacher.is_weak(folder / PLACES["probe"]):
        weak_teacher.accept(folder / PLACES["probe"], folder / RUNS)
    trained = spent + _seconds("train", folder)
    finish(folder, train_seconds=trained, evaluate_seconds=_seconds("evaluate", folder))


def _go_on(before: Path, here: Path) -> None:
    """Let a training begin where another one ended: its checkpoint is good for as many iterations as it has."""
    if not here.exists():  # or it was begun, and goes on from its own
        with staged_folder(here) as staged:
            shutil.copytree(before, staged, dirs_exist_ok=True)


def _seconds(name: str, folder: Path) -> float:
    """Run a stage and tell what it cost: processor seconds, or GPU-seconds where there is one; imports are not its."""
    importlib.import_module(stage(name).module)
    family(load(folder).models.family)
    clock: Callable[[], float] = time.monotonic if torch.cuda.is_available() else time.process_time
    begun = clock()
    run(stage(name), folder)
    return clock() - begun


if __name__ == "__main__":
    settle()
    work([Path(folder) for folder in sys.argv[1:]])
