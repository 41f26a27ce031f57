"""What a model line owes us: an encoder side, a denoiser side, and a record that says where they are.

>>> denoiser = family("z-image").load_denoiser(Path("models/tiny-z-image"))

One convention inside: sigma is 1 for noise and 0 for the image, velocity is d(latents)/d(sigma), latents are fp32 of
shape (channels, height, width), normalised as the pipeline does. A family that thinks otherwise converts at its door.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from PIL.Image import Image
from torch import Tensor

from dopsd.placement import sent

Network = Any
"""A diffusers model that takes PEFT adapters: `ModelMixin` and `PeftAdapterMixin`; no one class names both."""

Pipeline = Any
"""The class of a diffusers pipeline that loads and saves LoRA weights of its transformer."""


TeacherContext = Literal["vlm", "reference", "both"]
"""How a teacher is shown a picture: read by a VLM with the words, as reference latents beside them, or both ways."""


@dataclass(frozen=True)
class Context:
    """What the denoiser reads beside the noisy latents.

    `tokens` has shape (length, width). `reference` is for families whose teacher is shown a picture as latents,
    shape (channels, height, width), instead of, or beside, tokens; a family without that branch refuses it.
    """

    tokens: Tensor
    reference: Tensor | None = None

    def sent(self, device: torch.device) -> "Context":
        """Give what lies on `device`, or is on its way there."""
        return Context(sent(self.tokens, device), None if self.reference is None else sent(self.reference, device))


class Encoder(Protocol):
    """The side that reads captions and pictures; it never loads the denoising network."""

    @property
    def size_multiple(self) -> int:
        """Sides of pictures are multiples of this many pixels."""
        ...

    def student_contexts(self, captions: Sequence[str]) -> list[Context]:
        """Encode text alone, exactly as inference does. Raises ValueError for a caption too long to be read whole."""
        ...

    def teacher_contexts(self, captions: Sequence[str], images: Sequence[Image | None]) -> list[Context]:
        """Encode text with the picture it describes; without a picture this equals `student_contexts`."""
        ...

    def latents(self, images: Sequence[Image]) -> Tensor:
        """Encode RGB pictures of one size into normalised latents, shape (images, channels, height, width), fp32."""
        ...

    def pictures(self, latents: Tensor) -> list[Image]:
        """Decode latents of shape (n, channels, height, width) as the pipeline does."""
        ...


class Decoder(Protocol):
    """The part of the encoder side that turns latents back into pictures."""

    def pictures(self, latents: Tensor) -> list[Image]:
        """Decode latents of shape (n, channels, height, width) as the pipeline does."""
        ...


class Denoiser(Protocol):
    """The side that samples and learns; it never loads a VAE or a text encoder."""

    network: Network

    def sigmas(self, num_steps: int, latent_shape: Sequence[int]) -> Tensor:
        """List the noise levels that inference visits at this latent shape, from 1 to 0, shape (num_steps + 1,)."""
        ...

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Sequence[Context]) -> Tensor:
        """Predict d(latents)/d(sigma) in fp32 at `x` (n, channels, height, width) for one context a row."""
        ...


@dataclass(frozen=True)
class Family:
    """A model line: how to load its two sides, where its LoRA goes, and which pipeline reads that LoRA.

    `load_encoder(base, vision_language, placement, teacher_context)`, `load_decoder(base, placement)` (a VAE alone) and
    `load_denoiser(base, placement)` take directories in the layout of the hub, or hub ids; they raise FileNotFoundError
    naming what is missing and how to get it. In which ways its teacher can be shown a picture stands in
    `families.catalogue`.
    """

    name: str
    lora_targets: tuple[str, ...]
    pipeline: Pipeline
    load_encoder: Callable[..., Encoder]
    load_decoder: Callable[..., Decoder]
    load_denoiser: Callable[..., Denoiser]
