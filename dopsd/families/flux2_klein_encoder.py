"""The encoder side of FLUX.2-klein: captions and pictures to contexts and latents, and latents back to pictures.

>>> encoder = load_encoder("models/tiny-flux2-klein", "models/tiny-qwen3-vl", teacher_context="reference")
>>> encoder.teacher_contexts(["a [V] star"], [picture])[0].reference.shape  # (32, 5, 5)

The pipeline's own methods do the encoding (built without a transformer), so there is no second copy to drift.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline
from PIL.Image import Image
from torch import Tensor
from transformers import AutoTokenizer, Qwen3Model

from dopsd.families.autoencoding import decoded, encoded
from dopsd.families.flux2_klein_reading import Reading
from dopsd.family import Context, TeacherContext
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load, load_network, load_placed
from dopsd.vision_language import teacher_vlm


class Flux2KleinEncoder:
    """Text encoder and VAE of FLUX.2-klein, and a VLM if the teacher reads with one; no transformer."""

    def __init__(self, pipeline: Flux2KleinPipeline, reading: Reading, teacher_context: TeacherContext) -> None:
        """Take a pipeline without transformer, how it reads, and how its teacher is shown a picture."""
        self._pipeline, self._reading, self._teacher_context = pipeline, reading, teacher_context

    @property
    def size_multiple(self) -> int:
        """Picture sides are multiples of this many pixels: 16 at full size."""
        return 2 * self._pipeline.vae_scale_factor

    @torch.no_grad()
    def student_contexts(self, captions: Sequence[str]) -> list[Context]:
        """Encode text alone, padded as inference pads it; raises ValueError for a caption it would cut off."""
        return [Context(tokens) for tokens in self._reading.alone(captions)]

    @torch.no_grad()
    def teacher_contexts(self, captions: Sequence[str], images: Sequence[Image | None]) -> list[Context]:
        """Show the picture as reference latents, to the VLM, or both ways; without one this is the student's.

        A reference is what the editing branch of the pipeline makes of a picture of at most 1024 x 1024 px.
        Raises ValueError for a caption too long to be read.
        """
        reads_it, shows_it = self._teacher_context != "reference", self._teacher_context != "vlm"
        read = self._reading.beside(captions, images) if reads_it else self._reading.alone(captions)
        shown = [self.latents([image])[0] if image and shows_it else None for image in images]
        return [Context(tokens, reference) for tokens, reference in zip(read, shown, strict=True)]

    @torch.no_grad()
    def latents(self, images: Sequence[Image]) -> Tensor:
        """Encode RGB pictures of one size by `Flux2KleinPipeline._encode_vae_image`; (n, 4 c, h / 2, w / 2), fp32.

        Raises ValueError for mixed sizes or for sides that are no multiple of `size_multiple`.
        """
        chance: Any = None  # no generator: the mode of the posterior is taken
        encode = self._pipeline._encode_vae_image
        return encoded(self._pipeline, self.size_multiple, images, lambda seen: encode(seen, chance))

    @torch.no_grad()
    def pictures(self, latents: Tensor) -> list[Image]:
        """Decode latents (n, 4 c, h / 2, w / 2) as the pipeline does at its end."""
        vae = self._pipeline.vae
        mean, variance = (kept.view(1, -1, 1, 1) for kept in (vae.bn.running_mean, vae.bn.running_var))
        spread = torch.sqrt(variance + vae.config.batch_norm_eps)
        unpatchify = Flux2KleinPipeline._unpatchify_latents
        return decoded(self._pipeline, latents, lambda some: unpatchify(some * spread + mean))


def load_encoder(
    base: str | Path,
    vision_language: str | Path,
    placement: Placement = CPU,
    teacher_context: TeacherContext = "reference",
) -> Flux2KleinEncoder:
    """Load VAE and text encoder of `base`, and the VLM if the teacher reads with it. Raises FileNotFoundError."""
    text_encoder = load_network(Qwen3Model, base, "text_encoder", dtype=placement.dtype).to(placement.device).eval()
    vae = load_placed(AutoencoderKLFlux2, base, "vae", placement)
    tokenizer = load(AutoTokenizer, base, "tokenizer")
    seeing = None if teacher_context == "reference" else teacher_vlm(text_encoder, vision_language, placement)
    absent: Any = None  # scheduler and transformer: this pipeline only reads, and decodes
    pipeline = Flux2KleinPipeline(absent, vae, text_encoder, tokenizer, absent)
    return Flux2KleinEncoder(pipeline, Reading(text_encoder, tokenizer, seeing), teacher_context)


def load_decoder(base: str | Path, placement: Placement = CPU) -> Flux2KleinEncoder:
    """Load the VAE of `base` alone: what comes back decodes, and reads nothing. Raises FileNotFoundError."""
    vae = load_placed(AutoencoderKLFlux2, base, "vae", placement)
    absent: Any = None
    return Flux2KleinEncoder(Flux2KleinPipeline(absent, vae, absent, absent, absent), absent, "reference")
