"""How often a method asks the network for a velocity: counted on its own code, with a stand-in for the network.

>>> evaluations(Training(iterations=1, batch_size=1), num_examples=6)  # Evaluations(prepared=0, forward=8, backward=4)

A kill loses nothing of this count, and no machine changes it; seconds it does not tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dopsd.dataset.examples import Example
from dopsd.family import Context, Network
from dopsd.objective import Scene, objective
from dopsd.recipe import Training
from tasks.comparison.counts import Evaluations

_SHAPE = (1, 1, 1)


def evaluations(training: Training, num_examples: int) -> Evaluations:
    """Count those of a whole training on so many examples.

    Where `num_states` draws a random subset, other subsets are drawn than in the training itself.
    """
    method, network, roles = objective(training.method)(training), _Counted(), _Parts()
    kept = method.prepare(network, roles, _EXAMPLE, range(training.num_samples))
    prepared, network.forward = network.forward * num_examples, 0
    for step in range(training.iterations):
        for term in method.terms(network, roles, _scene(training.batch_size, kept, step)):
            term.loss.backward()
    return Evaluations(prepared, network.forward, network.backward)


class _Counted:
    """A denoiser of one weight that counts the rows it is asked for, and those that are walked back through it."""

    def __init__(self) -> None:
        self.forward = self.backward = 0
        self._weight = nn.Parameter(torch.zeros(()))
        self.network = nn.ParameterList([self._weight])

    def sigmas(self, num_steps: int, latent_shape: Sequence[int]) -> Tensor:  # noqa: ARG002 (a denoiser is asked so)
        return torch.linspace(1, 0, num_steps + 1)

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Sequence[Context]) -> Tensor:  # noqa: ARG002
        self.forward += len(x)
        found = torch.zeros_like(x) + self._weight
        if found.requires_grad:
            found.register_hook(self._walked_back)
        return found

    def _walked_back(self, gradient: Tensor) -> None:
        self.backward += len(gradient)


class _Parts:
    """Roles that differ in nothing but whether they learn."""

    network: Network = None
    student: Mapping[str, nn.Parameter] = {}
    teacher: Mapping[str, Tensor] = {}

    @contextmanager
    def as_teacher(self) -> Iterator[None]:
        with torch.no_grad():
            yield

    as_base = as_teacher

    def follow_(self, decay: float) -> None:
        """Stay: there is nothing to follow."""

    def distance(self) -> float:
        return 0.0


_WORDS = Context(torch.zeros(1, 1))
_EXAMPLE = Example("any", _WORDS, _WORDS, torch.zeros(_SHAPE), plain=_WORDS)


def _scene(rows: int, kept: Tensor | None, seed: int) -> Scene:
    words, latents = [_WORDS] * rows, torch.zeros(rows, *_SHAPE)
    drawn = torch.empty(0) if kept is None else kept[[0] * rows]
    return Scene(words, words, torch.ones_like(latents), latents, plain=words, kept=drawn, seed=seed)
