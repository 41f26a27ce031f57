"""Vanilla fine-tuning: flow matching on the distilled model itself, the paper's first baseline.

>>> next(FlowMatching(training).terms(denoiser, roles, scene)).loss

The states are noised target images, which a few-step model never visits: it learns them, and unlearns its few steps.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Context, Denoiser
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.weights.roles import Roles

_CURVE_STEPS = 50
"""Steps of the sampler whose noise levels say where training looks; a level in between lies on a straight line."""


class FlowMatching:
    """Predict noise minus image between the two, at noise levels spaced as the model's own schedule spaces them."""

    needs = Needs()

    def __init__(self, training: Training) -> None:
        """Take nothing of the recipe: there is nothing to choose."""

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> None:
        """Prepare nothing."""

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield the one loss."""
        sigma = noise_levels(denoiser, scene)
        loss = flow_losses(denoiser, scene.student, scene.latents, scene.noise, sigma).mean()
        yield Term(loss, loss.detach(), "image")


def noise_levels(denoiser: Denoiser, scene: Scene) -> Tensor:
    """Draw a sigma a row, (rows,): uniform in time, bent as inference bends it at this latent shape."""
    curve = denoiser.sigmas(_CURVE_STEPS, scene.latents.shape[1:])
    end = scene.first + len(scene.latents)
    time = np.random.default_rng([scene.seed, 1]).uniform(size=end)[scene.first :]
    levels = np.interp(time, np.linspace(0, 1, len(curve)), curve.numpy())
    return torch.from_numpy(levels).float().to(scene.latents.device)


def flow_losses(
    denoiser: Denoiser, contexts: Sequence[Context], latents: Tensor, noise: Tensor, sigma: Tensor
) -> Tensor:
    """Square the distance of the velocity at x = (1 - sigma) latents + sigma noise from noise - latents, a row each."""
    level = sigma.view(-1, 1, 1, 1)
    x = (1 - level) * latents + level * noise
    return (denoiser.velocity(x, sigma, contexts) - (noise - latents)).square().flatten(1).mean(1)
