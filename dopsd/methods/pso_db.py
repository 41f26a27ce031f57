"""Pairwise sample optimisation as its DreamBooth scripts use it (arXiv:2410.03190): a hinge, no reference, a prior.

>>> next(PairwiseDreamBooth(training).terms(denoiser, roles, scene)).loss

Within the hinge the gradient is that of beta (l_w - share l_l): nearly plain fine-tuning at the few-step levels.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Denoiser
from dopsd.methods.pso import errors, losers
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.weights.roles import Roles


class PairwiseDreamBooth:
    """Let the winner be nearer than the loser by a margin: relu(1 + beta D), and keep the loser's class in mind."""

    needs = Needs()

    def __init__(self, training: Training) -> None:
        """Take how steep the preference is, how much loser and prior count, and the deployed steps."""
        self._training = training

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> Tensor:
        """Draw the losers, which are the pictures of the class as well."""
        return losers(self._training, denoiser, example, seeds)

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield the one loss."""
        said = self._training
        winner, loser = errors(said, denoiser, scene)
        hinge = (1 + said.pso_beta * (winner - said.pso_loser_share * loser)).relu()
        loss = hinge.mean() + said.pso_prior_weight * loser.mean()
        yield Term(loss, winner.detach().mean(), "winner")
