"""What a method owes the training loop: losses to step down, one at a time.

>>> objective("dopsd")(Training()).terms(denoiser, roles, scene)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal, Protocol

import torch
from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Context, Denoiser
from dopsd.recipe import Training
from dopsd.weights.roles import Roles


@dataclass(frozen=True)
class Scene:
    """What one iteration is about: a row each of student context, teacher context, noise and clean latents.

    `plain` are contexts of the captions in words that the base knows, where they were embedded. `kept` is a row each
    of what the method prepared, drawn for this iteration. What else a method draws at random follows from `seed`; in a
    part of a batch that begins with row `first` of the whole, a row draws what it would draw there.
    """

    student: Sequence[Context]
    teacher: Sequence[Context]
    noise: Tensor
    latents: Tensor
    plain: Sequence[Context] = ()
    kept: Tensor = field(default_factory=lambda: torch.empty(0))
    seed: int = 0
    first: int = 0

    def rows(self, first: int, end: int) -> "Scene":
        """Give the part from row `first` up to, and without, row `end`."""
        rows = slice(first, end)
        return Scene(
            student=self.student[rows],
            teacher=self.teacher[rows],
            noise=self.noise[rows],
            latents=self.latents[rows],
            plain=self.plain[rows],
            kept=self.kept[rows],
            seed=self.seed,
            first=self.first + first,
        )


@dataclass(frozen=True)
class Term:
    """One part of the loss, to be walked back from at once, and the plain velocity gap it came from (0-d tensors).

    `name` says which gap, as curves show it: the number of the step, or what the model was held against.
    """

    loss: Tensor
    gap: Tensor
    name: str


@dataclass(frozen=True)
class Needs:
    """What a method asks for: a teacher; the bare base to speak beside the student; the model that it trains on."""

    teacher: bool = False
    base: bool = False
    model: Literal["deployed", "undistilled", "dedistilled"] = "deployed"


class Objective(Protocol):
    """A method of tuning. Its terms are drawn one by one, each walked back from before the next is asked for."""

    @property
    def needs(self) -> Needs:
        """Say what must be there for it."""
        ...

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> Tensor | None:
        """Make with the untrained model what is kept of `example`, one a seed, (seeds, ...); None for nothing."""
        ...

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield the parts of the loss, each a mean over rows; the student speaks whenever one is yielded."""
        ...


_METHODS = {
    "dopsd": ("dopsd.methods.distillation", "Distillation"),
    "sft": ("dopsd.methods.sft", "FlowMatching"),
    "sft-parent": ("dopsd.methods.sft_parent", "ParentFlowMatching"),
    "sft-adapter": ("dopsd.methods.sft_adapter", "AdapterFlowMatching"),
    "dreambooth": ("dopsd.methods.dreambooth", "DreamBooth"),
    "pso": ("dopsd.methods.pso", "PairwiseSampleOptimization"),
    "pso_db": ("dopsd.methods.pso_db", "PairwiseDreamBooth"),
    "sft-teacher": ("dopsd.methods.sft_teacher", "TeacherFlowMatching"),
    "offpolicy": ("dopsd.methods.offpolicy", "OffPolicyDistillation"),
    "anchored": ("dopsd.methods.anchored", "AnchoredDistillation"),
}

NAMES = tuple(_METHODS)


def objective(method: str) -> Callable[[Training], Objective]:
    """Return the objective called `method`; raises ValueError listing the known ones."""
    if method not in _METHODS:
        raise ValueError(f"there is no method {method!r}: choose one of {', '.join(NAMES)}")
    module, name = _METHODS[method]
    return getattr(import_module(module), name)
