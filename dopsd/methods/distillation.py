"""On-policy self-distillation, arXiv:2605.05204, section 2.2 and algorithm 1: the method on one screen.

>>> for term in Distillation(training).terms(denoiser, roles, scene):
...     term.loss.backward()
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Denoiser
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.weights.roles import Roles


class Distillation:
    """The student walks its own few steps from noise; at each state the teacher, who has seen the picture, objects."""

    needs = Needs(teacher=True)

    def __init__(self, training: Training) -> None:
        """Take what the recipe says about steps, weights and the space of the disagreement."""
        self._training = training

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> None:
        """Prepare nothing: all states are the student's of this very moment."""

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield eq. 6 step by step; the losses of all terms sum to it.

        A state carries no gradient into the next, so one backward a term is exactly the joint backward, at 1 / K of
        its memory. The target image enters through the teacher's context alone.
        """
        x = scene.noise
        sigmas = denoiser.sigmas(self._training.num_steps, x.shape[1:])
        steps = zip(shares(self._training, scene.seed), pairwise(sigmas), strict=False)
        for number, (share, (sigma, next_sigma)) in enumerate(steps, start=1):
            if share is None:
                learned = _passed_by(denoiser, x, sigma, scene)
            else:
                with roles.as_teacher():
                    taught = denoiser.velocity(x, sigma, scene.teacher)
                learned = denoiser.velocity(x, sigma, scene.student)
                gap = (learned - taught).square().mean()  # eq. 5 and 6
                yield Term(share * disagreement(self._training, gap, sigma), gap.detach(), str(number))
            x = x + (next_sigma - sigma) * learned.detach()  # eq. 3; no gradient through the walk


def disagreement(training: Training, gap: Tensor, sigma: Tensor) -> Tensor:
    """Turn the velocity gap into the chosen space: x0 = x - sigma v, so its gap is sigma squared times as large.

    Eq. 6 is "velocity"; the authors' released code is "x0" and weighs the early steps more.
    """
    return sigma.to(gap.device) ** 2 * gap if training.loss == "x0" else gap


def shares(training: Training, seed: int) -> list[float | None]:
    """Say what each step counts, up to the last that counts; None for a state that is passed by.

    Shares sum to 1, all alike unless the recipe weighs them. Of a random subset each counts so much more that their
    mean over all subsets is that of all states.
    """
    count = training.num_states or training.num_steps
    weights = torch.tensor(training.step_weights or (1.0,) * training.num_steps, dtype=torch.float64)
    chosen = np.random.default_rng([seed, 0]).choice(training.num_steps, count, replace=False)
    raised = (weights / weights.sum()).tolist()[: max(chosen) + 1]
    return [share * (training.num_steps / count) if step in chosen else None for step, share in enumerate(raised)]


@torch.no_grad()
def _passed_by(denoiser: Denoiser, x: Tensor, sigma: Tensor, scene: Scene) -> Tensor:
    return denoiser.velocity(x, sigma, scene.student)
