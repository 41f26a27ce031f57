"""Processes that train one model together: each walks back from its rows of every batch, and all take the same step.

    torchrun --nproc_per_node 2 -m dopsd.tuning --entries data/embeddings/entries --base models/tiny-z-image --out tuned

Batches, their order and their noise are functions of seed and step alone: how many share a batch changes how sums
round, and nothing else. Alone, a process has nobody to tell, and everything here gives back what it was given.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.tensor import DTensor

_Item = TypeVar("_Item")


def rank() -> int:
    """Tell which of the processes this is; the first, 0, is the one that tells and writes."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


def world_size() -> int:
    """Count the processes, as their launcher did."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def share(items: Sequence[_Item]) -> Sequence[_Item]:
    """Give this process its part of some work: every item is somebody's, and all get equally many.

    Who would have one less gets one of the first again: processes that share a network's weights walk it together.
    """
    rounds = -(-len(items) // world_size())
    return [items[number % len(items)] for number in range(rank(), rounds * world_size(), world_size())]


def wait() -> None:
    """Go on when all have come here."""
    if world_size() > 1:
        dist.barrier()


def any_of(flag: bool) -> bool:  # noqa: FBT001 (the one thing it is about)
    """Tell whether any process says so; all get the same answer."""
    return sums([float(flag)]) != [0.0]


def agreed(values: Mapping[str, float]) -> dict[str, float]:
    """Give the mean of what the processes measured, so that all decide alike by it; keys are the same everywhere."""
    return {key: total / world_size() for key, total in zip(values, sums(values.values()), strict=True)}


def add_up_(
    weights: Mapping[str, nn.Parameter], loss: float, gaps: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    """Add up the gradients of all processes in place, once an iteration; give the sums of their losses and gaps.

    A weight that no process reached stays without a gradient, as it does where there is one process. Gradients of
    weights that are divided among the processes were added up as they were walked back to.
    """
    if world_size() == 1:
        return loss, dict(gaps)
    whole = [weight for weight in weights.values() if not isinstance(weight, DTensor)]
    reached = sums(float(weight.grad is not None) for weight in whole)
    under_way = []
    for weight, reaches in zip(whole, reached, strict=True):
        if reaches:
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
            under_way.append(dist.all_reduce(weight.grad, async_op=True))
    total, *parts = sums([loss, *gaps.values()])
    for message in under_way:
        message.wait()
    return total, dict(zip(gaps, parts, strict=True))


def sums(values: Iterable[float]) -> list[float]:
    """Add numbers up over the processes; all get the same sums."""
    own = list(values)
    if world_size() == 1 or not own:
        return own
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    sums = torch.tensor(own, dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return sums.tolist()
