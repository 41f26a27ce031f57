"""What a worker of a comparison does: prepare a concept, or train and score a cell, each in its own workspace.

python -m tasks.comparison.work report/cells/star/dopsd-0.0001-0
"""

import sys
import time
from pathlib import Path

import torch

from tasks import weak_teacher
from tasks.comparison.cells import finish, finished, source_identity
from tasks.environment import settle
from tasks.folders import read_json, write_json
from tasks.pipeline import PLACES, stage
from tasks.runner import RUNS, run

PREPARING = ("ingest", "caption", "embed", "probe")


def prepare(folder: Path) -> None:
    """Bring images, captions, embeddings and the probe of a concept about, unless they are there already."""
    torch.set_num_threads(1)
    record, wanted = folder / "concept.json", {"identity": source_identity(folder)}
    if record.is_file() and read_json(record) == wanted:
        return
    record.unlink(missing_ok=True)
    for name in PREPARING:
        run(stage(name), folder)
    write_json(record, wanted)


def work(folder: Path) -> None:
    """Train and score one cell, unless that is done; a weak teacher is no reason to leave its cell out."""
    torch.set_num_threads(1)
    if finished(folder):
        return
    if weak_teacher.is_weak(folder / PLACES["probe"]):
        weak_teacher.accept(folder / PLACES["probe"], folder / RUNS)
    begun = time.process_time() if not torch.cuda.is_available() else time.monotonic()
    run(stage("train"), folder)
    spent = (time.process_time() if not torch.cuda.is_available() else time.monotonic()) - begun
    run(stage("evaluate"), folder)
    finish(folder, spent)


if __name__ == "__main__":
    settle()
    work(Path(sys.argv[1]))
