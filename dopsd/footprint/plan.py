"""What a training holds in memory from its first step to its last, by what it is for and where it lies.

>>> print(table(lasting(training, frozen_bytes=0, learning=6_155_000_000)))

What autograd keeps besides for the way back is not known before a network is walked: `dopsd.bench.memory` does.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from dopsd.family import Network
from dopsd.objective import objective
from dopsd.recipe import Training

_FP32 = 4


@dataclass(frozen=True)
class Part:
    """Some bytes for one purpose, on the device that trains or in the host's memory."""

    name: str
    num_bytes: int
    is_on_host: bool = False


def lasting(training: Training, *, frozen_bytes: int, learning: int, resting_bytes: int = 0) -> list[Part]:
    """List what lasts, for so many numbers that learn beside so many bytes that do not, and so many that rest.

    Of all weights, an EMA teacher lies where `ema_device` says, as do the weights of the beginning. Where they are
    `sharded`, it is what each process has.
    """
    needs, is_full = objective(training.method)(training).needs, training.weights == "full"
    teacher = training.teacher if needs.teacher else "copy"
    is_away = is_full and training.ema_device == "cpu"
    has_beginning = is_full and (needs.base or teacher == "frozen")
    one = -(-_FP32 * learning // (training.processes if training.sharded else 1))
    parts = [
        Part("frozen weights", frozen_bytes),
        Part(f"frozen weights of the blocks, {training.base_storage}", resting_bytes, training.base_device == "cpu"),
        Part("what learns, fp32", one),
        Part("its gradients, fp32", one),
        Part("AdamW's two moments, fp32", 2 * one),
        Part("EMA teacher, fp32", one if teacher == "ema" else 0, is_away),
        Part("weights of the beginning, fp32", one if has_beginning else 0, is_away),
    ]
    return [part for part in parts if part.num_bytes]


def tell(network: Network, training: Training) -> None:
    """Say on stderr, before all weights of `network` learn, what will last; a LoRA takes little beside its base."""
    if training.weights == "full":
        learning = sum(weight.numel() for weight in network.parameters())
        print(table(lasting(training, frozen_bytes=0, learning=learning)), file=sys.stderr, flush=True)


def table(parts: Sequence[Part]) -> str:
    """Lay parts out a line each, in GiB or MiB, and their sums by place below."""
    sums = [
        Part(name, sum(part.num_bytes for part in parts if part.is_on_host == is_on_host), is_on_host)
        for name, is_on_host in (("together", False), ("together", True))
    ]
    rows = [*parts, *(part for part in sums if part.num_bytes)]
    width = max(len(part.name) for part in rows)
    return "\n".join(f"{part.name:<{width}}  {_said(part.num_bytes)}  {_place(part)}" for part in rows)


def _said(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:8.2f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:8.2f} MiB"


def _place(part: Part) -> str:
    return "host" if part.is_on_host else "device"
