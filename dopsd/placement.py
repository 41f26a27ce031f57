"""Where a model lies, and in which number format its frozen weights are held.

>>> family.load_denoiser(base, fastest())
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Placement:
    """A device and the dtype of frozen weights; LoRA, latents and losses are fp32 wherever this points."""

    device: torch.device
    dtype: torch.dtype


CPU = Placement(torch.device("cpu"), torch.float32)


def fastest() -> Placement:
    """Choose the first GPU in bf16, or else this CPU in fp32."""
    return Placement(torch.device("cuda"), torch.bfloat16) if torch.cuda.is_available() else CPU
