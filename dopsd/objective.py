"""What a method owes the training loop: losses to step down, one at a time.

>>> objective("dopsd")(Training()).terms(denoiser, roles, scene)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from torch import Tensor

from dopsd.adapter import Roles
from dopsd.family import Context, Denoiser
from dopsd.recipe import Training


@dataclass(frozen=True)
class Scene:
    """What one iteration is about: a row each of student context, teacher context, noise and clean latents."""

    student: Sequence[Context]
    teacher: Sequence[Context]
    noise: Tensor
    latents: Tensor


@dataclass(frozen=True)
class Term:
    """One part of the loss, to be walked back from at once, and the plain velocity gap it came from (0-d tensors)."""

    loss: Tensor
    gap: Tensor


class Objective(Protocol):
    """A method of tuning. Its terms are drawn one by one, each walked back from before the next is asked for."""

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield the parts of the loss; the student wears the network whenever a term is yielded."""
        ...


_METHODS = {"dopsd": ("dopsd.distillation", "Distillation")}


def objective(method: str) -> Callable[[Training], Objective]:
    """Return the objective called `method`; raises ValueError listing the known ones."""
    if method not in _METHODS:
        raise ValueError(f"there is no method {method!r}: choose one of {', '.join(_METHODS)}")
    module, name = _METHODS[method]
    return getattr(import_module(module), name)
