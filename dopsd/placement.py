"""Where a model lies, and in which number format its frozen weights are held.

>>> family.load_denoiser(base, fastest())
"""

import os
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dopsd.recipe import Training


@dataclass(frozen=True)
class Placement:
    """A device and the dtype of frozen weights; LoRA, latents and losses are fp32 wherever this points."""

    device: torch.device
    dtype: torch.dtype


CPU = Placement(torch.device("cpu"), torch.float32)


def fastest() -> Placement:
    """Choose the first GPU in bf16, where several processes train together one each, or else this CPU in fp32."""
    if not torch.cuda.is_available():
        return CPU
    return Placement(torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))), torch.bfloat16)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Send a tensor to `device`; a GPU fetches it from pinned memory by itself, while the processor goes on."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def cradle(training: Training) -> Placement:
    """Choose where the base of a training is loaded to: the `fastest`, or the host where parts of it go on from there.

    That is where blocks are to rest, and where all weights are divided: no device has room for them.
    """
    return replace(fastest(), device=CPU.device) if training.has_rest or training.sharded else fastest()
