"""A batch in parts, walked back one after another: so many in each process, as memory allows.

>>> method = InParts(objective(training.method)(training), training.accumulate)
>>> sum(term.loss for term in method.terms(denoiser, roles, scene))  # that of the whole batch, but for rounding
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Denoiser
from dopsd.objective import Needs, Objective, Scene, Term
from dopsd.processes.ranks import rank, world_size
from dopsd.weights.roles import Roles


@dataclass(frozen=True)
class InParts:
    """A method whose batch is cut into `accumulate` parts a process, each of which walks back from its own.

    A loss is a mean over rows, so that of a part counts by its share of them.
    """

    method: Objective
    accumulate: int

    @property
    def needs(self) -> Needs:
        """Say what the method needs."""
        return self.method.needs

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> Tensor | None:
        """Prepare what the method prepares."""
        return self.method.prepare(denoiser, roles, example, seeds)

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield the method's terms on each part of this process, as much as it counts of the batch."""
        rows, parts = len(scene.latents), world_size() * self.accumulate
        for part in range(rank() * self.accumulate, (rank() + 1) * self.accumulate):
            first, end = part * rows // parts, (part + 1) * rows // parts
            share = (end - first) / rows
            for term in self.method.terms(denoiser, roles, scene.rows(first, end)):
                yield Term(share * term.loss, share * term.gap, term.name)
