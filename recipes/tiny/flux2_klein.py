"""The tiny FLUX.2-klein: words in three layers of states, and a picture as reference tokens behind the noise.

    python -m recipes.tiny refine --family flux2-klein

Its autoencoder is the tiny Z-Image's in another class. Half of the rows see words alone; of the others three in five
see a picture as a reference, one the VLM's reading of it, one both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from torch import Tensor
from transformers import Qwen2Tokenizer, Qwen3ForCausalLM, Qwen3VLForConditionalGeneration

from dopsd.families.flux2_klein import Flux2KleinDenoiser
from dopsd.families.flux2_klein_reading import Reading
from dopsd.family import Context
from recipes.tiny import architecture
from recipes.tiny.architecture import SIDE
from recipes.tiny.autoencoder import pictures
from recipes.tiny.drawing import draw
from recipes.tiny.line import Line
from recipes.tiny.pictures import as_image
from recipes.tiny.pool import CHUNK, Row, shard, shards
from recipes.tiny.sight import seeing
from recipes.tiny.tokens import tokenizer

_TOKENS = 25
_LONGEST_TEXT = 40
"""Tokens that prompts are padded to; all of them are the denoiser's to read, and the world says at most 29."""
_WAYS = ("reference", "reference", "reference", "vlm", "both")


@dataclass(frozen=True)
class Pool:
    """Rows with the latents of scene and shown picture, (rows, 32, 5, 5); prompts are read when they are asked for.

    Padded states of three layers would be 60 kB a row; reading costs a sixth of a step.
    """

    latents: Tensor
    references: Tensor
    shown: Tensor
    rows: list[Row]
    reading: Reading

    def batch(self, count: int, random: torch.Generator) -> list[int]:
        """Draw any rows."""
        return torch.randint(len(self.latents), (count,), generator=random).tolist()

    @torch.no_grad()
    def contexts(self, rows: Sequence[int], *, with_image: Sequence[bool]) -> list[Context]:
        """Read a row each; every row has its own way of showing its picture."""
        ways = ["" if not shows else _WAYS[row // 2 % len(_WAYS)] for row, shows in zip(rows, with_image, strict=True)]
        texts = [
            self.rows[row].placeholder if way else self.rows[row].words for row, way in zip(rows, ways, strict=True)
        ]
        tokens: dict[int, Tensor] = {}
        blind = [at for at, way in enumerate(ways) if way in ("", "reference")]
        sighted = [at for at, way in enumerate(ways) if way in ("vlm", "both")]
        tokens |= dict(zip(blind, self.reading.alone([texts[at] for at in blind]), strict=True))
        images = [as_image(self.shown[rows[at]].float() / 255) for at in sighted]
        tokens |= dict(zip(sighted, self.reading.beside([texts[at] for at in sighted], images), strict=True))
        return [
            Context(tokens[at], self.references[row].float() if ways[at] in ("reference", "both") else None)
            for at, row in enumerate(rows)
        ]


def pool(folder: Path, vae: AutoencoderKLFlux2, vlm: Qwen3VLForConditionalGeneration, *, rows: int) -> Pool:
    """Read a pool of `rows` scenes; what `folder` lacks of it is made."""
    found = shards(folder, rows, lambda some: _tensors(some, vae))
    whole = {name: torch.cat([one[name] for one in found]) for name in found[0]}
    said = [row for seed in range(len(found)) for row in shard(seed)]
    return Pool(**whole, rows=said, reading=Reading(architecture.text_encoder(vlm), klein_tokenizer(), seeing(vlm)))


def _tensors(rows: list[Row], vae: AutoencoderKLFlux2) -> dict[str, Tensor]:
    latents, references, shown = [], [], []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        seen = draw([one.shown for one in chunk], SIDE)
        latents.append(_encoded(vae, draw([one.scene for one in chunk], SIDE)).half())
        references.append(_encoded(vae, seen).half())
        shown.append((seen.clamp(0, 1) * 255).round().byte())
    return {"latents": torch.cat(latents), "references": torch.cat(references), "shown": torch.cat(shown)}


def _encoded(vae: AutoencoderKLFlux2, images: Tensor) -> Tensor:
    """Encode images in [0, 1] to the normalised patches that the pipeline denoises, shape (n, 32, 5, 5)."""
    patches = _patches(vae, images * 2 - 1)
    mean, variance = (kept.view(1, -1, 1, 1) for kept in (vae.bn.running_mean, vae.bn.running_var))
    return (patches - mean) / torch.sqrt(variance + vae.config.batch_norm_eps)


def _patches(vae: AutoencoderKLFlux2, images: Tensor) -> Tensor:
    return Flux2KleinPipeline._patchify_latents(vae.encode(images).latent_dist.mode())


@torch.no_grad()
def autoencoder(vae: AutoencoderKL) -> AutoencoderKLFlux2:
    """Put the weights of the shared autoencoder into the class of FLUX.2, with the statistics of 512 pictures."""
    made = AutoencoderKLFlux2(**{key: vae.config[key] for key in architecture.AUTOENCODER})
    kept = {name: buffer for name, buffer in made.state_dict().items() if name.startswith("bn.")}
    made.load_state_dict(vae.state_dict() | kept, strict=True)
    patches = torch.cat([_patches(made.eval(), some) for some in pictures(Random(-1), 512).split(CHUNK)])
    made.bn.running_mean.copy_(patches.mean((0, 2, 3)))
    made.bn.running_var.copy_(patches.var((0, 2, 3)))
    return made


def klein_tokenizer() -> Qwen2Tokenizer:
    """Train the tokenizer that pads prompts to the length that this base was fitted on."""
    made = tokenizer()
    made.model_max_length = _LONGEST_TEXT
    return made


def transformer() -> Flux2Transformer2DModel:
    """Build the denoiser: 2 double and 4 single blocks of width 128."""
    torch.manual_seed(5)
    return Flux2Transformer2DModel(
        in_channels=32,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=32,
        num_attention_heads=4,
        joint_attention_dim=3 * architecture.TEXT_WIDTH,
        axes_dims_rope=(8, 8, 8, 8),
        guidance_embeds=False,
    )


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Build the scheduler of FLUX.2-klein: the pipeline bends its steps by the number of tokens and of steps."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=3.0, use_dynamic_shifting=True)


def pipeline(
    network: Flux2Transformer2DModel,
    vae: AutoencoderKLFlux2,
    vlm: Qwen3VLForConditionalGeneration,
    *,
    is_distilled: bool,
) -> Flux2KleinPipeline:
    """Build the whole pipeline; its text encoder is the language half of the VLM, with a head."""
    half = architecture.text_encoder(vlm)
    half.config.tie_word_embeddings = True
    speaking = Qwen3ForCausalLM(half.config)
    speaking.model.load_state_dict(half.state_dict(), strict=True)
    return Flux2KleinPipeline(scheduler(), vae, speaking, klein_tokenizer(), network, is_distilled=is_distilled)


LINE = Line(
    family="flux2-klein",
    shift=math.exp(compute_empirical_mu(image_seq_len=_TOKENS, num_steps=4)),
    transformer=transformer,
    denoiser=Flux2KleinDenoiser,
    scheduler=scheduler,
    autoencoder=autoencoder,
    pool=pool,
    pipeline=pipeline,
)
