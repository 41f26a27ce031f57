"""Pictures-to-be from noise, in the deployed steps, from the noise that the pipeline itself would draw.

>>> latents = sample(denoiser, contexts, seeds=[0, 1], latent_shape=(8, 10, 10), num_steps=4)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from dopsd.dataset.batching import rows_alike
from dopsd.family import Context, Denoiser


@dataclass(frozen=True)
class Walk:
    """A roll-out: final latents (n, c, h, w), velocities (steps, n, c, h, w) on its states, sigmas (steps + 1,)."""

    latents: Tensor
    velocities: Tensor
    sigmas: Tensor


def noise(seeds: Sequence[int], latent_shape: Sequence[int]) -> Tensor:
    """Draw a row a seed, (n, c, h, w), as a pipeline does from `torch.Generator("cpu").manual_seed(seed)`."""
    rows = [torch.randn((1, *latent_shape), generator=torch.Generator("cpu").manual_seed(seed)) for seed in seeds]
    return torch.cat(rows)


@torch.no_grad()
def walk(denoiser: Denoiser, contexts: Sequence[Context], x: Tensor, num_steps: int) -> Walk:
    """Follow the model from noise `x` (n, c, h, w) to the image, by the pipeline's Euler steps in fp32."""
    sigmas = denoiser.sigmas(num_steps, x.shape[1:])
    x = x.to(next(denoiser.network.parameters()).device)
    velocities = []
    for sigma, next_sigma in pairwise(sigmas):
        velocities.append(denoiser.velocity(x, sigma, contexts))
        x = x + (next_sigma - sigma) * velocities[-1]
    return Walk(x, torch.stack(velocities), sigmas)


def walks(
    denoiser: Denoiser,
    contexts: Sequence[Context],
    seeds: Sequence[int],
    *,
    latent_shape: Sequence[int],
    num_steps: int,
) -> Walk:
    """Roll out one seed a context, in batches of contexts of equal length, and bring the result to the CPU."""
    if len(seeds) != len(contexts):
        raise ValueError(f"{len(seeds)} seeds for {len(contexts)} contexts: give one seed a context")
    x, parts, order = noise(seeds, latent_shape), [], []
    for rows in rows_alike([len(context.tokens) for context in contexts]):
        parts.append(walk(denoiser, [contexts[row] for row in rows], x[rows], num_steps))
        order += rows
    back = torch.tensor(order).argsort()
    latents = torch.cat([part.latents for part in parts]).cpu()[back]
    velocities = torch.cat([part.velocities for part in parts], dim=1).cpu()[:, back]
    return Walk(latents, velocities, parts[0].sigmas)


def sample(
    denoiser: Denoiser,
    contexts: Sequence[Context],
    seeds: Sequence[int],
    *,
    latent_shape: Sequence[int],
    num_steps: int,
) -> Tensor:
    """Give the final latents of `walks`, (n, c, h, w), fp32 on the CPU."""
    return walks(denoiser, contexts, seeds, latent_shape=latent_shape, num_steps=num_steps).latents
