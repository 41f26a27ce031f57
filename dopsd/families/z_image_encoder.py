"""The encoder side of Z-Image: captions and pictures to contexts and latents, and latents back to pictures.

>>> encoder = load_encoder("models/tiny-z-image", "models/tiny-qwen3-vl")
>>> encoder.student_contexts(["a red star"])[0].tokens.shape  # (11, 128)

The pipeline's own methods do the encoding (built without a transformer), so there is no second copy to drift.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ZImagePipeline
from PIL.Image import Image
from torch import Tensor
from transformers import AutoTokenizer, Qwen3Model

from dopsd.dataset.batching import rows_alike
from dopsd.families.autoencoding import decoded, encoded
from dopsd.family import Context, TeacherContext
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load, load_network, load_placed
from dopsd.vision_language import VisionLanguage, teacher_vlm

_LONGEST_TEXT = 512
"""Tokens that inference reads of a prompt; the pipeline cuts the rest off silently, we refuse it."""
_LONGEST_TALK = 1024


class ZImageEncoder:
    """Text encoder, VLM and VAE of Z-Image; no transformer."""

    def __init__(self, pipeline: ZImagePipeline, seeing: VisionLanguage) -> None:
        """Take a pipeline without transformer, and a VLM that carries the pipeline's language weights."""
        self._pipeline, self._seeing = pipeline, seeing

    @property
    def size_multiple(self) -> int:
        """Picture sides are multiples of this many pixels: 16 at full size."""
        return 2 * self._pipeline.vae_scale_factor

    @torch.no_grad()
    def student_contexts(self, captions: Sequence[str]) -> list[Context]:
        """Encode text alone by `ZImagePipeline._encode_prompt`; raises ValueError for more than 512 tokens."""
        lengths = [self._length(caption) for caption in captions]
        contexts: dict[int, Context] = {}
        for rows in rows_alike(lengths):
            # A fresh list: the pipeline writes its template into the one it is given.
            prompts = [captions[row] for row in rows]
            tokens = self._pipeline._encode_prompt(prompts, max_sequence_length=lengths[rows[0]])
            contexts |= dict(zip(rows, map(Context, tokens), strict=True))
        return [contexts[row] for row in range(len(captions))]

    @torch.no_grad()
    def teacher_contexts(self, captions: Sequence[str], images: Sequence[Image | None]) -> list[Context]:
        """Let the VLM read [image, text]: states before the last layer, every token; without image, the student's.

        Raises ValueError for more than 1024 tokens.
        """
        contexts: dict[int, Context] = {}
        for batch in self._seeing.batches(captions, images):
            if batch.inputs["input_ids"].shape[1] > _LONGEST_TALK:
                caption = captions[batch.rows[0]]
                raise ValueError(f"picture and caption exceed {_LONGEST_TALK} tokens: shorten {caption[:80]!r}...")
            states = self._seeing.model.model(**batch.inputs, output_hidden_states=True).hidden_states[-2]
            contexts |= dict(zip(batch.rows, map(Context, states), strict=True))
        return [contexts[row] for row in range(len(captions))]

    @torch.no_grad()
    def latents(self, images: Sequence[Image]) -> Tensor:
        """Encode RGB pictures of one size, the mode of the posterior, normalised; (n, c, h, w), fp32 on the CPU.

        Raises ValueError for mixed sizes or for sides that are no multiple of `size_multiple`.
        """
        vae = self._pipeline.vae
        shift, scale = vae.config.shift_factor, vae.config.scaling_factor
        return encoded(
            self._pipeline,
            self.size_multiple,
            images,
            lambda seen: (vae.encode(seen).latent_dist.mode() - shift) * scale,
        )

    @torch.no_grad()
    def pictures(self, latents: Tensor) -> list[Image]:
        """Decode latents (n, c, h, w) as the pipeline does at its end."""
        config = self._pipeline.vae.config
        return decoded(self._pipeline, latents, lambda some: some / config.scaling_factor + config.shift_factor)

    def _length(self, caption: str) -> int:
        ids = self._pipeline.tokenizer.apply_chat_template(
            [{"role": "user", "content": caption}],
            add_generation_prompt=True,
            enable_thinking=True,
            return_dict=True,
        )["input_ids"]
        if len(ids) > _LONGEST_TEXT:
            raise ValueError(f"a caption of {len(ids)} tokens, {_LONGEST_TEXT} are read: shorten {caption[:80]!r}...")
        return len(ids)


def load_encoder(
    base: str | Path,
    vision_language: str | Path,
    placement: Placement = CPU,
    teacher_context: TeacherContext = "vlm",
) -> ZImageEncoder:
    """Load VAE and text encoder of `base` and the VLM that reads pictures with them. Raises FileNotFoundError."""
    assert teacher_context == "vlm", "the family's record names the one way there is"
    text_encoder = load_network(Qwen3Model, base, "text_encoder", dtype=placement.dtype).to(placement.device).eval()
    vae = load_placed(AutoencoderKL, base, "vae", placement)
    tokenizer = load(AutoTokenizer, base, "tokenizer")
    absent: Any = None  # scheduler and transformer: this pipeline only reads, and decodes
    pipeline = ZImagePipeline(absent, vae, text_encoder, tokenizer, absent)
    return ZImageEncoder(pipeline, teacher_vlm(text_encoder, vision_language, placement))


def load_decoder(base: str | Path, placement: Placement = CPU) -> ZImageEncoder:
    """Load the VAE of `base` alone: what comes back decodes, and reads nothing. Raises FileNotFoundError."""
    vae = load_placed(AutoencoderKL, base, "vae", placement)
    absent: Any = None
    return ZImageEncoder(ZImagePipeline(absent, vae, absent, absent, absent), absent)
