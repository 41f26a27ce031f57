"""What a model draws for a panel of prompts: the same prompts, the same noise, whichever model it is.

>>> drawings(denoiser, contexts, prompts, Easel(encoder, latent_shape=(16, 128, 128), num_steps=8, seeds=[0, 1]))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from PIL.Image import Image

from dopsd.family import Context, Denoiser, Encoder
from dopsd.metrics.few_step import curvature
from dopsd.sampling import walks
from tasks.batches import batches
from tasks.panels import Prompt

_TOGETHER = 128  # pictures whose velocities are held at a time


@dataclass(frozen=True)
class Drawing:
    """One picture, what it was asked to be, and how bent the way there was."""

    prompt: Prompt
    seed: int
    picture: Image
    curvature: float


@dataclass(frozen=True)
class Easel:
    """What all models of a comparison share: who decodes, the size of the latents, the deployed steps, the seeds."""

    encoder: Encoder
    latent_shape: tuple[int, ...]
    num_steps: int
    seeds: Sequence[int]


def drawings(denoiser: Denoiser, contexts: Sequence[Context], prompts: Sequence[Prompt], easel: Easel) -> list[Drawing]:
    """Draw every prompt with every seed, in the order of prompts, then seeds; the contexts are those of the prompts."""
    made = []
    for chunk in batches(list(product(range(len(prompts)), easel.seeds)), _TOGETHER):
        walk = walks(
            denoiser,
            [contexts[index] for index, _ in chunk],
            [seed for _, seed in chunk],
            latent_shape=easel.latent_shape,
            num_steps=easel.num_steps,
        )
        pictures, bends = easel.encoder.pictures(walk.latents), curvature(walk)
        made += [
            Drawing(prompts[index], seed, picture, bend)
            for (index, seed), picture, bend in zip(chunk, pictures, bends, strict=True)
        ]
    return made
