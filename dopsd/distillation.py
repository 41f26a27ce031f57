"""On-policy self-distillation, arXiv:2605.05204, section 2.2 and algorithm 1: the method on one screen.

>>> for term in Distillation(training).terms(denoiser, roles, scene):
...     term.loss.backward()
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from dopsd.adapter import Roles
from dopsd.family import Denoiser
from dopsd.objective import Scene, Term
from dopsd.recipe import Training


class Distillation:
    """The student walks its own few steps from noise; at each state the teacher, who has seen the picture, objects."""

    def __init__(self, training: Training) -> None:
        """Take what the recipe says about steps, weights and the space of the disagreement."""
        self._training = training

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield eq. 6 step by step; the losses of all terms sum to it.

        A state carries no gradient into the next, so one backward a term is exactly the joint backward, at 1 / K of
        its memory. The target image enters through the teacher's context alone.
        """
        x = scene.noise
        sigmas = denoiser.sigmas(self._training.num_steps, x.shape[1:])
        for share, (sigma, next_sigma) in zip(self._shares(), pairwise(sigmas), strict=True):
            with roles.as_teacher():
                taught = denoiser.velocity(x, sigma, scene.teacher)
            learned = denoiser.velocity(x, sigma, scene.student)
            gap = (learned - taught).square().mean()  # eq. 5 and 6
            yield Term(loss=share * self._disagreement(gap, sigma), gap=gap.detach())
            x = x + (next_sigma - sigma) * learned.detach()  # eq. 3; no gradient through the walk

    def _disagreement(self, gap: Tensor, sigma: Tensor) -> Tensor:
        """Turn the velocity gap into the chosen space: x0 = x - sigma v, so its gap is sigma squared times as large.

        Eq. 6 is "velocity"; the authors' released code is "x0" and weighs the early steps more.
        """
        return sigma.to(gap.device) ** 2 * gap if self._training.loss == "x0" else gap

    def _shares(self) -> list[float]:
        """Say what each step counts; the shares sum to 1, all alike unless the recipe weighs them."""
        weights = torch.tensor(self._training.step_weights or (1.0,) * self._training.num_steps, dtype=torch.float64)
        return (weights / weights.sum()).tolist()
