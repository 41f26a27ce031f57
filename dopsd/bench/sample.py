"""Seconds a picture: the deployed steps, and the VAE that makes pixels of their end.

    python -m dopsd.bench sample --family z-image --size tiny --side 80 --batch 1,2

Captions are random states: they are read once, for any number of pictures.
"""

import gc
from dataclasses import dataclass
from statistics import median
from typing import Any

from dopsd.bench.encoders import decoder
from dopsd.bench.machine import described, matmul_rate, measured_on, peak_bytes, seconds
from dopsd.bench.meter import metered
from dopsd.bench.models import model
from dopsd.bench.train import Question
from dopsd.placement import Placement
from dopsd.sampling import noise, walk

_GIB = 2**30


@dataclass(frozen=True)
class Row:
    """One batch size; seconds (medians) and operations are those of a picture, the latter of its steps alone."""

    batch: int
    seconds: float
    steps_seconds: float
    decode_seconds: float
    tflop: float
    share_of_peak: float
    peak_gib: float


def measure(question: Question) -> dict[str, Any]:
    """Answer as a JSON object: the question, the machine, its peak, and a row a batch.

    Raises ValueError for a full-size network on a machine without a GPU.
    """
    placement = measured_on(question.size)
    rate = matmul_rate(placement)
    rows = [vars(_row(question, batch, placement, rate)) for batch in question.batches]
    return {"question": vars(question), **described(placement), "matmul_tflop_s": rate / 1e12, "rows": rows}


def _row(question: Question, batch: int, placement: Placement, rate: float) -> Row:
    gc.collect()
    about, size = model(question.family), question.size
    denoiser = about.denoiser(about.network(size, placement))
    vae = decoder(question.family, size, placement)
    contexts = [example.student for example in about.examples(size, question.side_px, count=batch)]
    x = noise(range(batch), about.latent_shape(size, question.side_px))
    with metered(denoiser.network) as cost:
        latents = walk(denoiser, contexts, x, question.num_steps).latents
    peak, times = peak_bytes(placement), question.iterations
    steps = median(seconds(lambda: walk(denoiser, contexts, x, question.num_steps), placement, times)) / batch
    decode = median(seconds(lambda: vae.pictures(latents), placement, times)) / batch
    flops = cost.flops / batch
    return Row(batch, steps + decode, steps, decode, flops / 1e12, flops / steps / rate, peak() / _GIB)
