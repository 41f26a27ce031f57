"""Images a second that embedding takes in: what the student reads, what the teacher reads, and latents.

python -m dopsd.bench embed --family z-image --size tiny --side 64 --batch 1,8
"""

import gc
from dataclasses import dataclass
from statistics import median
from typing import Any

from torch import nn

from dopsd.bench.machine import described, matmul_rate, measured_on, peak_bytes, seconds
from dopsd.bench.meter import metered
from dopsd.bench.reading import works
from dopsd.bench.train import Question
from dopsd.placement import Placement

_GIB = 2**30


@dataclass(frozen=True)
class Row:
    """One kind of entry, or "all", at one batch size; seconds (medians) and operations are those of an image."""

    kind: str
    batch: int
    seconds: float
    images_a_second: float
    tflop: float
    share_of_peak: float
    peak_gib: float


def measure(question: Question) -> dict[str, Any]:
    """Answer as a JSON object: the question, the machine, its peak, and a row a kind and batch.

    Raises ValueError for full-size networks on a machine without a GPU.
    """
    placement = measured_on(question.size)
    rate = matmul_rate(placement)
    rows = [vars(row) for batch in question.batches for row in _rows(question, batch, placement, rate)]
    return {"question": vars(question), **described(placement), "matmul_tflop_s": rate / 1e12, "rows": rows}


def _rows(question: Question, batch: int, placement: Placement, rate: float) -> list[Row]:
    """Time each kind by itself, and add up: entries of a kind are made one kind after another."""
    gc.collect()
    rows = []
    side_px = question.side_px
    for kind, work in works(question.family, question.size, batch=batch, side_px=side_px, placement=placement).items():
        with metered(nn.Module()) as cost:
            work()
        peak = peak_bytes(placement)
        taken = median(seconds(work, placement, question.iterations)) / batch
        rows.append(_row(kind, batch, taken, cost.flops / batch, rate, peak() / _GIB))
    whole = sum(row.seconds for row in rows)
    flops = sum(row.tflop for row in rows) * 1e12
    return [*rows, _row("all", batch, whole, flops, rate, max(row.peak_gib for row in rows))]


def _row(kind: str, batch: int, taken: float, flops: float, rate: float, peak_gib: float) -> Row:
    return Row(kind, batch, taken, 1 / taken, flops / 1e12, flops / taken / rate, peak_gib)
