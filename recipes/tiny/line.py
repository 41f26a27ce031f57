"""What sets one family's tiny base apart: architecture, contexts, and the pipeline it is shipped in.

Autoencoder, VLM, pool of scenes, fits, distillation, measures and shipment are the same for all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration

from dopsd.family import Context, Denoiser, Network, Pipeline


class Pool(Protocol):
    """Scenes with all that a denoiser reads of them."""

    @property
    def latents(self) -> Tensor:
        """Give the scenes themselves, normalised, shape (rows, channels, height, width)."""
        ...

    def batch(self, count: int, random: torch.Generator) -> list[int]:
        """Draw the rows of one step."""
        ...

    def contexts(self, rows: Sequence[int], *, with_image: Sequence[bool]) -> list[Context]:
        """Read a row each: its words alone, or the words with a placeholder beside the picture that it shows."""
        ...


@dataclass(frozen=True)
class Shared:
    """What is fitted before any denoiser, and then stays as it is for all of them."""

    vae: AutoencoderKL
    vlm: Qwen3VLForConditionalGeneration


@dataclass(frozen=True)
class Line:
    """One family of the recipe; `shift` is how far its deployed steps are bent towards noise.

    `autoencoder` puts the shared weights into the family's own class, `pool(folder, vae, vlm, rows=...)` makes what its
    denoiser is fitted on, `pipeline(network, vae, vlm, is_distilled=...)` is what is shipped.
    """

    family: str
    shift: float
    transformer: Callable[[], Network]
    denoiser: Callable[[Network, FlowMatchEulerDiscreteScheduler], Denoiser]
    scheduler: Callable[[], FlowMatchEulerDiscreteScheduler]
    autoencoder: Callable[[AutoencoderKL], Any]
    pool: Callable[..., Pool]
    pipeline: Callable[..., Pipeline]

    @property
    def name(self) -> str:
        """Name the deployed model among the models; its parent's name ends in "-parent"."""
        return f"tiny-{self.family}"

    def around(self, network: Network) -> Denoiser:
        """Give `network` time and velocity of its family."""
        return self.denoiser(network, self.scheduler())
