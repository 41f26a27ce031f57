"""Velocity divergence: how far a tuned model's velocities have moved from the base's, on the base's own path.

>>> base = walks(denoiser, contexts, seeds, latent_shape=shape, num_steps=4)
>>> with wearing(denoiser.network, "adapter"):
...     velocity_divergence(denoiser, contexts, base)

It says how much a model changed, not whether for the worse; under vanilla fine-tuning it goes on rising.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dopsd.dataset.batching import rows_alike
from dopsd.family import Context, Denoiser
from dopsd.sampling import Walk

_SMALLEST = 1e-6


@torch.no_grad()
def velocity_divergence(denoiser: Denoiser, contexts: Sequence[Context], base: Walk) -> list[float]:
    """Measure the mean squared difference of velocities on the states of `base`, over the base's mean square.

    One value a roll-out: 0 for the base itself, 1 for a model that stands still. Steps count by their length in sigma.
    """
    lengths = base.sigmas[:-1] - base.sigmas[1:]
    weight = (lengths / lengths.sum()).view(-1, 1)
    strayed = _by_row(_velocities(denoiser, contexts, base) - base.velocities)
    return ((weight * strayed).sum(0) / (weight * _by_row(base.velocities)).sum(0).clamp_min(_SMALLEST)).tolist()


def states(walk: Walk) -> Tensor:
    """Trace a walk back from its latents: the states at which its velocities were read, (steps, n, c, h, w)."""
    found, x = [], walk.latents
    for step in reversed(range(len(walk.velocities))):
        x = x - (walk.sigmas[step + 1] - walk.sigmas[step]) * walk.velocities[step]
        found.append(x)
    return torch.stack(found[::-1])


def _velocities(denoiser: Denoiser, contexts: Sequence[Context], base: Walk) -> Tensor:
    """Ask for a velocity at every state of the walk, in batches of contexts of equal length."""
    x, device = states(base), next(denoiser.network.parameters()).device
    found = torch.empty_like(base.velocities)
    for rows in rows_alike([len(context.tokens) for context in contexts]):
        for step, sigma in enumerate(base.sigmas[:-1]):
            some = [contexts[row] for row in rows]
            found[step, rows] = denoiser.velocity(x[step, rows].to(device), sigma, some).cpu()
    return found


def _by_row(values: Tensor) -> Tensor:
    return values.square().flatten(2).mean(2)
