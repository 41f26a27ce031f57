"""Distillation on a fixed set of states, those of the untrained student: the paper's ablation (section 3.3).

>>> OffPolicyDistillation(training).prepare(denoiser, roles, example, seeds=[0, 1]).shape  # (2, steps, c, h, w)
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Denoiser
from dopsd.methods.distillation import disagreement, shares
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.sampling import noise, walks
from dopsd.weights.roles import Roles


class OffPolicyDistillation:
    """The teacher objects as in `distillation`, at states where the student was before it learnt anything."""

    needs = Needs(teacher=True)

    def __init__(self, training: Training) -> None:
        """Take what the recipe says about steps, weights and the space of the disagreement."""
        self._training = training

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> Tensor:
        """Walk the caption's few steps from each seed, and keep every state that a step starts from."""
        contexts, shape = [example.student] * len(seeds), example.latents.shape
        walk = walks(denoiser, contexts, seeds, latent_shape=shape, num_steps=self._training.num_steps)
        states = [noise(seeds, shape)]
        for velocity, (sigma, next_sigma) in zip(walk.velocities[:-1], pairwise(walk.sigmas), strict=False):
            states.append(states[-1] + (next_sigma - sigma) * velocity)
        return torch.stack(states, dim=1)

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield eq. 6 on the kept states, step by step."""
        sigmas = denoiser.sigmas(self._training.num_steps, scene.noise.shape[1:])
        for step, share in enumerate(shares(self._training, scene.seed)):
            if share is None:
                continue
            x, sigma = scene.kept[:, step], sigmas[step]
            with roles.as_teacher():
                taught = denoiser.velocity(x, sigma, scene.teacher)
            gap = (denoiser.velocity(x, sigma, scene.student) - taught).square().mean()
            yield Term(share * disagreement(self._training, gap, sigma), gap.detach(), str(step + 1))
