"""Seconds from a command to the first step of its training: imports, the base from warm files, one iteration.

    HF_ENABLE_PARALLEL_LOADING=1 python -m dopsd.bench start --family z-image --size tiny --side 80 --rank 16

The base is written first, in the layout of the hub, and read from there by what every training reads it by.
"""

import gc
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from diffusers import FlowMatchEulerDiscreteScheduler

from dopsd.bench.machine import described, measured_on, peak_bytes, settled_time
from dopsd.bench.models import Model, model
from dopsd.bench.train import Question, refuse_company
from dopsd.families.catalogue import family
from dopsd.placement import Placement, cradle
from dopsd.run import Run
from dopsd.training import train

_GIB = 2**30
_SHARD = "4GB"


@dataclass(frozen=True)
class Row:
    """One batch size: seconds of each part and of all, and the most memory that they took on the device."""

    batch: int
    seconds: float
    import_seconds: float
    load_seconds: float
    iteration_seconds: float
    peak_gib: float


def measure(question: Question) -> dict[str, Any]:
    """Answer as a JSON object: the question, the machine, and a row a batch.

    Raises ValueError for a full-size network on a machine without a GPU, and for several processes.
    """
    refuse_company(question)
    placement, about = measured_on(question.size), model(question.family)
    with TemporaryDirectory() as folder:
        base = _written(about, question, placement, Path(folder) / "base")
        rows = [vars(_row(about, question, batch, placement, base)) for batch in question.batches]
    return {"question": vars(question), **described(placement), "rows": rows}


def _written(about: Model, question: Question, placement: Placement, base: Path) -> Path:
    """Write a base of random weights as files of some gigabytes; what was just written is warm."""
    denoiser = about.denoiser(about.network(question.size, placement))
    denoiser.network.save_pretrained(base / "transformer", max_shard_size=_SHARD)
    FlowMatchEulerDiscreteScheduler(shift=3.0, **about.scheduler).save_pretrained(base / "scheduler")
    return base


def _row(about: Model, question: Question, batch: int, placement: Placement, base: Path) -> Row:
    gc.collect()
    line, training = family(about.family), question.training("dopsd", batch)
    examples = about.examples(question.size, question.side_px, count=batch)
    peak, imports = peak_bytes(placement), _import_seconds()
    begun = settled_time(placement)
    denoiser = line.load_denoiser(base, cradle(training))
    loaded = settled_time(placement)
    with TemporaryDirectory() as state:
        next(train(denoiser, examples, training, Run(line, "random", Path(state))))
    done = settled_time(placement)
    parts = (imports, loaded - begun, done - loaded)
    return Row(batch, sum(parts), *parts, peak() / _GIB)


def _import_seconds() -> float:
    """Time a process that does nothing but import what trains."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import dopsd.tuning"], check=True)
    return time.perf_counter() - begun
