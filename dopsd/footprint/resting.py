"""Frozen weights at rest: those of the blocks lie in eight bits a number, in the host's memory, or both.

>>> rest_(denoiser.network, training, device)
>>> settle_(denoiser.network, training, device)  # the others go to the device

A weight is made whole while its layer speaks, and again for the way back. That walks every block twice
(`checkpointing`), so that those of one block are there at a time.
"""

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from dopsd.blocks import blocks
from dopsd.family import Network
from dopsd.recipe import Training

_LARGEST = 127


class Rest(nn.Module):
    """How a weight of shape (out, in) lies, and how it is made whole on `device`, in the format that it had."""

    def __init__(self, training: Training, dtype: torch.dtype, device: torch.device) -> None:
        """Note what `training` says, and what the weight was."""
        super().__init__()
        self._is_int8, self._is_on_host = training.base_storage == "int8", training.base_device == "cpu"
        self._dtype, self._device = dtype, device

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, ...]:
        """Lay a weight to rest: as it is, or as int8 and a scale a row, which is off by half a step at most."""
        lying = _in_eight_bits(weight) if self._is_int8 else (weight,)
        # A GPU fetches pinned memory by itself, while the processor goes on.
        is_fetched = self._is_on_host and self._device.type == "cuda"
        return tuple(part.pin_memory() for part in lying) if is_fetched else lying

    def forward(self, number: Tensor, scale: Tensor | None = None) -> Tensor:
        """Make the weight whole; this copy goes with the last who reads it."""
        whole = number.to(self._device, non_blocking=True, copy=self._is_on_host)
        return whole if scale is None else whole.to(self._dtype).mul_(scale.to(self._device, non_blocking=True))


def rest_(network: Network, training: Training, device: torch.device) -> None:
    """Lay the matrices of the repeated blocks of `network` to rest, if `training` says so; no LoRA is among them."""
    if not training.has_rest:
        return
    for name, layer in chain.from_iterable(block.named_modules() for block in blocks(network)):
        if isinstance(layer, nn.Linear) and "lora_" not in name:
            # "unsafe" leaves out a trial, which would make every weight whole once.
            register_parametrization(layer, "weight", Rest(training, layer.weight.dtype, device), unsafe=True)


def settle_(network: Network, training: Training, device: torch.device) -> None:
    """Put on `device` what is not to rest in the host's memory."""
    for name, tensor in chain(network.named_parameters(), network.named_buffers()):
        if not (training.base_device == "cpu" and is_resting(name)):
            tensor.data = tensor.data.to(device)


def is_resting(name: str) -> bool:
    """Tell by the name of a network's parameter whether it rests."""
    return ".parametrizations." in name


def _in_eight_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round to whole steps of a row's scale: the largest number of a row is 127 of them."""
    scale = (weight.abs().amax(1, keepdim=True).float() / _LARGEST).clamp_min(torch.finfo(torch.float32).tiny)
    return (weight / scale).round().to(torch.int8), scale
