"""What a network keeps for its way back: everything, what is dear to make again, or no more than each block is given.

>>> checkpoint_(denoiser.network, "selective")

The rest is made again on the way back, by the same arithmetic: gradients do not change (tested bit for bit on a CPU).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from dopsd.family import Network
from dopsd.recipe import Checkpointing

_PRODUCTS = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
_ATTENTION = (
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
)
_LOW_RANK = 1 / 4
"""A product whose inner side is a smaller part of its width costs little for its size."""


def checkpoint_(network: Network, checkpointing: Checkpointing) -> None:
    """Let every block of `network` keep what `checkpointing` says; a forward without gradient keeps nothing anyway."""
    if checkpointing != "none":
        network.enable_gradient_checkpointing(_WAYS[checkpointing])


# No block draws at random, so there is no random state to bring back.
_again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)


def _policy(_: object, operation: object, *arguments: Any, **__: object) -> CheckpointPolicy:
    """Keep attention and products of matrices; not norms, gates and the wide half of a LoRA."""
    if operation in _PRODUCTS:
        inner, width = arguments[-1].shape
        return CheckpointPolicy.MUST_SAVE if inner >= _LOW_RANK * width else CheckpointPolicy.PREFER_RECOMPUTE
    return CheckpointPolicy.MUST_SAVE if operation in _ATTENTION else CheckpointPolicy.PREFER_RECOMPUTE


_WAYS: dict[str, Callable[..., Any]] = {
    "full": _again,
    "selective": partial(_again, context_fn=partial(create_selective_checkpoint_contexts, _policy)),
}
