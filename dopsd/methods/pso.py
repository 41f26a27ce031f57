"""Pairwise sample optimisation, offline (arXiv:2410.03190): the image wins against what the base draws of its class.

>>> next(PairwiseSampleOptimization(training).terms(denoiser, roles, scene)).loss

Both are noised alike, at a level of the few-step schedule. In the original's terms l = |x0' - x0|^2 / sigma^2, which
for x0' = x - sigma v is the squared velocity error of flow matching. `pso_db` is the other published form.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from dopsd.dataset.examples import Example
from dopsd.family import Denoiser
from dopsd.methods.sft import flow_losses
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.sampling import sample
from dopsd.weights.roles import Roles


class PairwiseSampleOptimization:
    """Prefer the winner by more than the base does: -log sigmoid(beta (D_base - D)), D = l_winner - share l_loser."""

    needs = Needs(base=True)

    def __init__(self, training: Training) -> None:
        """Take how steep the preference is, how much the loser counts, and the deployed steps."""
        self._training = training

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> Tensor:
        """Draw the losers."""
        return losers(self._training, denoiser, example, seeds)

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield the one loss."""
        with roles.as_base():
            base_winner, base_loser = errors(self._training, denoiser, scene)
        winner, loser = errors(self._training, denoiser, scene)
        share = self._training.pso_loser_share
        gained = (base_winner - share * base_loser) - (winner - share * loser)
        loss = -logsigmoid(self._training.pso_beta * gained).mean()
        yield Term(loss, winner.detach().mean(), "winner")


def losers(training: Training, denoiser: Denoiser, example: Example, seeds: Sequence[int]) -> Tensor:
    """Let the untrained model draw the caption in plain words, (seeds, c, h, w)."""
    plain, shape = [example.in_plain_words] * len(seeds), example.latents.shape
    return sample(denoiser, plain, seeds, latent_shape=shape, num_steps=training.num_steps)


def errors(training: Training, denoiser: Denoiser, scene: Scene) -> tuple[Tensor, Tensor]:
    """Give l of winners and losers, (rows,) each: one noise and one few-step level a pair, a caption each."""
    levels = denoiser.sigmas(training.num_steps, scene.latents.shape[1:])[:-1]
    end = scene.first + len(scene.latents)
    drawn = np.random.default_rng([scene.seed, 1]).integers(len(levels), size=end)[scene.first :]
    sigma = levels[drawn].to(scene.latents.device).repeat(2)
    both, contexts = torch.cat([scene.latents, scene.kept]), [*scene.student, *scene.plain]
    winner, loser = flow_losses(denoiser, contexts, both, scene.noise.repeat(2, 1, 1, 1), sigma).chunk(2)
    return winner, loser
