"""Velocity divergence: 0 for the base, 1 for a model that stands still, and a walk can be traced back."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from dopsd.family import Context
from dopsd.metrics.divergence import states, velocity_divergence
from dopsd.sampling import Walk, walks

CONTEXTS = [Context(torch.ones(length, 2) * length) for length in (2, 3, 2)]


class Pull:
    """A denoiser that pulls to the mean of its context's tokens, `share` as hard as the base does."""

    def __init__(self, share: float) -> None:
        self.network, self._share = nn.Linear(1, 1), share

    def sigmas(self, num_steps: int, latent_shape: Sequence[int]) -> Tensor:
        return torch.tensor([1.0, 0.7, 0.0])

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Sequence[Context]) -> Tensor:
        targets = torch.stack([context.tokens.mean() for context in contexts]).view(-1, 1, 1, 1)
        return self._share * (x - targets) / sigma


def walked() -> Walk:
    return walks(Pull(1), CONTEXTS, [0, 1, 2], latent_shape=(1, 2, 2), num_steps=2)


@pytest.mark.parametrize(("share", "divergence"), [(1.0, 0.0), (0.0, 1.0), (1.5, 0.25), (3.0, 4.0)])
def test_divergence_is_the_squared_share_of_the_change(share: float, divergence: float) -> None:
    found = velocity_divergence(Pull(share), CONTEXTS, walked())
    assert found == pytest.approx([divergence] * 3, abs=1e-6)


def test_states_are_those_that_were_walked() -> None:
    walk = walked()
    found = states(walk)
    for (here, there), (sigma, next_sigma), velocity in zip(
        pairwise([*found, walk.latents]), pairwise(walk.sigmas), walk.velocities, strict=True
    ):
        assert torch.allclose(here + (next_sigma - sigma) * velocity, there, atol=1e-6)
