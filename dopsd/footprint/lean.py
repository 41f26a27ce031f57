"""What the libraries keep for the way back beyond need, left out where the arithmetic is bf16.

>>> lean_(denoiser.network, training)

* RMSNorm, as diffusers writes it out, keeps its input in fp32 and what it divided besides, and a gate keeps what it
  opened by: both are made again from what is kept anyway. Of a norm torch has a kernel, which rounds once, at the end.
* PEFT turns the input of every LoRA into fp32, which autocast turns back: each keeps a copy of what they share.
"""

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.normalization import RMSNorm
from diffusers.models.transformers.transformer_flux2 import Flux2SwiGLU
from diffusers.models.transformers.transformer_z_image import FeedForward
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import rms_norm, silu

from dopsd.family import Network
from dopsd.recipe import Training
from dopsd.run import precision


def lean_(network: Network, training: Training) -> None:
    """Let a network that computes in bf16, and whose LoRA learns, keep less.

    Compiled blocks and checkpoints see to norms and gates by themselves; the lengths of a DoRA need its fp32.
    """
    if training.weights == "full" or precision(training) != "bf16":
        return
    is_kept_whole = training.checkpointing == "none" and not training.compile
    for module in network.modules():
        if type(module) in _LEAN and is_kept_whole:
            module.__class__ = _LEAN[type(module)]
        elif isinstance(module, BaseTunerLayer) and training.weights == "lora":
            module.cast_input_dtype_enabled = False


class LeanNorm(RMSNorm):
    """A norm over the last axis with a frozen weight."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Divide by the root of the mean square, and multiply by the weight."""
        return _again(self._normed, hidden_states)

    def _normed(self, x: Tensor) -> Tensor:
        weight = None if self.weight is None else self.weight.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):  # it would make fp32 of bf16
            return rms_norm(x, self.dim, weight, self.eps)


class LeanFeedForward(FeedForward):
    """Z-Image's feed-forward, which keeps what opens its gate and what passes through, and not their product."""

    def forward(self, x: Tensor) -> Tensor:
        """Let `x` through the gate that it opens."""
        opening, passing = self.w1(x), self.w3(x)
        product = _again(_gated, opening, passing)
        memory, ends = product.untyped_storage()._cdata, (opening.detach(), passing.detach())

        def packed(tensor: Tensor) -> Tensor | torch.Size:
            """Keep of the product, which the LoRA behind it reads, no more than how it is seen."""
            return tensor.shape if tensor.untyped_storage()._cdata == memory else tensor

        def unpacked(kept: Tensor | torch.Size) -> Tensor:
            """Make the product again."""
            return kept if isinstance(kept, Tensor) else _gated(*ends).view(kept)

        with saved_tensors_hooks(packed, unpacked):
            return self.w2(product)


class LeanSwiGLU(Flux2SwiGLU):
    """The gate of FLUX.2's feed-forward."""

    def forward(self, x: Tensor) -> Tensor:
        """Open the second half of the last axis by the first."""
        return _again(_gated, *x.chunk(2, dim=-1))


_LEAN: dict[type, type] = {RMSNorm: LeanNorm, FeedForward: LeanFeedForward, Flux2SwiGLU: LeanSwiGLU}


def _gated(opening: Tensor, x: Tensor) -> Tensor:
    return silu(opening) * x


def _again(work: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Do `work(*tensors)` now, and once more on the way back, so that the tensors alone are kept."""
    result: Tensor = _Again.apply(work, *tensors)
    return result


class _Again(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, work: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        """Keep what the work is done on; torch watches nothing here."""
        context.work = work
        context.save_for_backward(*tensors)
        return work(*tensors)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        """Do it again, watched, and walk back from it."""
        tensors = [tensor.detach().requires_grad_() for tensor in context.saved_tensors]
        with torch.enable_grad():
            return None, *torch.autograd.grad(context.work(*tensors), tensors, gradients)
