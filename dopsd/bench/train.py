"""Seconds, operations and memory of training's iterations: D-OPSD, its naive form, and SFT, one after another.

    python -m dopsd.bench train --family z-image --size tiny --methods dopsd,naive,sft --batch 1,4

What is timed is `dopsd.training.train` itself, between one record and the next.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from dopsd.bench.joint import joint_iterations
from dopsd.bench.machine import described, matmul_rate, measured_on, peak_bytes, settled_time
from dopsd.bench.meter import metered
from dopsd.bench.models import Model, SizeName, model
from dopsd.bench.reading import works
from dopsd.families.catalogue import family
from dopsd.family import Denoiser
from dopsd.placement import Placement, cradle
from dopsd.recipe import Training
from dopsd.run import Run
from dopsd.training import train

ARMS = ("dopsd", "naive", "sft")
_GIB = 2**30


@dataclass(frozen=True)
class Question:
    """What is measured: after `warmup` iterations one is counted, and then so many `iterations` are timed.

    `settings` are other keys of the recipe.
    """

    family: str
    size: SizeName
    methods: Sequence[str] = ARMS
    batches: Sequence[int] = (1,)
    side_px: int = 1024
    num_steps: int = 4
    rank: int = 64
    iterations: int = 5
    warmup: int = 2
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be measured; raises ValueError naming the option."""
        model(self.family).latent_shape(self.size, self.side_px)
        for method in self.methods:
            if method not in ARMS:
                raise ValueError(f"--methods: there is no {method!r} to measure; choose some of {', '.join(ARMS)}")
        if self.settings and "naive" in self.methods:
            raise ValueError("--set: the naive form is the released code's, which has no such settings: leave it out")
        if min([*self.batches, self.iterations, self.num_steps, self.rank, self.warmup]) < 1:
            raise ValueError("--batch, --iterations, --num-steps and --rank: give numbers >= 1")

    def training(self, method: str, batch: int) -> Training:
        """Say it as a recipe, which no checkpoint and no look interrupts."""
        forever = self.warmup + 1 + self.iterations + 1
        usual = Training(
            method="sft" if method == "sft" else "dopsd",
            num_steps=self.num_steps,
            batch_size=batch,
            rank=self.rank,
            alpha=self.rank,
            iterations=forever,
            checkpoint_every=forever,
            sample_every=0,
        )
        return replace(usual, **self.settings)


@dataclass(frozen=True)
class Row:
    """One method at one batch size; seconds (the median) and operations are those of a sample-iteration.

    `held_gib` is the most that autograd kept for backward at a time, of blocks that are not compiled; `peak_gib` all
    memory together, as it is timed. The last two are what it costs of SFT's at the same batch; None where SFT was not
    asked for.
    """

    method: str
    batch: int
    seconds: float
    fastest: float
    slowest: float
    tflop: float
    share_of_peak: float
    held_gib: float
    peak_gib: float
    times_sft: float | None = None
    times_sft_flops: float | None = None


def measure(question: Question) -> dict[str, Any]:
    """Answer as a JSON object: the question, the machine, its peak, and a row a method and batch.

    Raises ValueError for a full-size network on a machine without a GPU, and for several processes.
    """
    refuse_company(question)
    placement = measured_on(question.size)
    rate = matmul_rate(placement)
    rows = [_row(question, method, batch, placement, rate) for batch in question.batches for method in question.methods]
    compared = [vars(_beside_sft(row, rows)) for row in rows]
    return {"question": vars(question), **described(placement), "matmul_tflop_s": rate / 1e12, "rows": compared}


def refuse_company(question: Question) -> None:
    """Refuse to say of several processes what one would take; raises ValueError naming the option."""
    if question.settings.get("processes", 1) != 1:
        raise ValueError("--set processes: one is measured here; `bench memory` tells what each of several would hold")


def _row(question: Question, method: str, batch: int, placement: Placement, rate: float) -> Row:
    """Measure one method on a network of its own."""
    gc.collect()
    about, training = model(question.family), question.training(method, batch)
    # Made on the device, where that takes seconds, and then laid where a training would load it.
    denoiser = about.denoiser(about.network(question.size, placement).to(cradle(training).device))
    with TemporaryDirectory() as state:
        iterations = _iterations(question, method, batch, denoiser, placement, Path(state))
        for _ in range(question.warmup):  # the first prepares, too
            next(iterations)
        # What is compiled hides its operations, so one iteration goes without.
        with torch.compiler.set_stance("force_eager"), metered(denoiser.network) as cost:
            next(iterations)
        peak = peak_bytes(placement)  # counting holds on to more
        seconds = [_timed(iterations, placement) / batch for _ in range(question.iterations)]
    flops = cost.flops / batch
    share = flops / median(seconds) / rate
    held, most = cost.held_bytes / _GIB, peak() / _GIB
    return Row(method, batch, median(seconds), min(seconds), max(seconds), flops / 1e12, share, held, most)


def _iterations(
    question: Question, method: str, batch: int, denoiser: Denoiser, placement: Placement, state: Path
) -> Iterator[object]:
    """Give the iterations of one method, to be asked for one by one."""
    about: Model = model(question.family)
    examples = about.examples(question.size, question.side_px, count=batch)
    training, line = question.training(method, batch), family(about.family)
    if method == "naive":
        side_px, size = question.side_px, question.size
        encode = [*works(question.family, size, batch=batch, side_px=side_px, placement=placement).values()]
        return joint_iterations(denoiser, examples, training, line, placement, encode=encode)
    return train(denoiser, examples, training, Run(line, "random", state))


def _timed(iterations: Iterator[object], placement: Placement) -> float:
    begun = settled_time(placement)
    next(iterations)
    return settled_time(placement) - begun


def _beside_sft(row: Row, rows: Sequence[Row]) -> Row:
    """Divide by what SFT took at the same batch."""
    for other in rows:
        if (other.method, other.batch) == ("sft", row.batch):
            values = vars(row) | {
                "times_sft": row.seconds / other.seconds,
                "times_sft_flops": row.tflop / other.tflop,
            }
            return Row(**values)
    return row
