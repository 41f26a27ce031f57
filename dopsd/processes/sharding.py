"""All weights of a network divided among the processes that train it, and put together again (FSDP2).

>>> shard_(denoiser.network)
>>> own(weight).shape                # (rows of this process, ...)
>>> whole = gathered(denoiser.network)

Each process keeps some rows of every weight, and of whatever is as large: gradients, moments, the teacher. The weights
of a block are gathered while it speaks, and once more for its way back.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import init_empty_weights
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from dopsd.blocks import blocks
from dopsd.family import Network
from dopsd.placement import fastest
from dopsd.processes import ranks


def shard_(network: Network) -> None:
    """Divide the weights of `network` in place, in fp32, on the device that each process trains on.

    One block after another is made fp32, so that no process ever holds all of them so.
    """
    mesh = init_device_mesh(fastest().device.type, (ranks.world_size(),))
    for module in (*blocks(network), network):
        # What is left gathered after a forward would speak on when another role's weights are there.
        fully_shard(module.float(), mesh=mesh, reshard_after_forward=True)
        # The loss of a part counts by its share of the batch already: gradients are added up, by whatever backend.
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)


def is_sharded(weights: Mapping[str, Tensor]) -> bool:
    """Tell whether weights are divided among processes."""
    return any(isinstance(weight, DTensor) for weight in weights.values())


def own(weight: Tensor) -> Tensor:
    """Give the rows of a weight that this process has, in their own memory; all, if it is not divided."""
    return weight.to_local().detach() if isinstance(weight, DTensor) else weight.detach()


def rows(weight: Tensor) -> range:
    """Say which rows of the whole these are; of few rows some processes may have none."""
    count = math.ceil(len(weight) / ranks.world_size())
    first, end = (min(rank * count, len(weight)) for rank in (ranks.rank(), ranks.rank() + 1))
    assert own(weight).shape[0] == end - first, "rows are divided otherwise than in equal parts"
    return range(first, end)


@contextmanager
def exchanged(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> Iterator[None]:
    """Let divided weights hold this process's rows of `others`, which keep theirs meanwhile; then as it was.

    By value: what FSDP2 gathers from is memory of its own, which no pointer may leave.
    """
    _exchange(weights, others)
    try:
        yield
    finally:
        _exchange(weights, others)


def gathered(network: Network) -> Network:
    """Put a divided network together in the host's memory of the first process, to be used and saved by it alone.

    All processes must come here; the others get back what they gave.
    """
    state = get_model_state_dict(network, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    if ranks.rank():
        return network
    kind: Any = next(kind for kind in type(network).__mro__ if not issubclass(kind, FSDPModule))
    with init_empty_weights():
        whole = kind.from_config(network.config)
    whole.load_state_dict(state, assign=True)
    return whole.train(network.training)


@torch.no_grad()
def _exchange(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
    for key, other in others.items():
        mine = own(weights[key])
        aside = mine.clone()
        mine.copy_(other)
        other.copy_(aside)
