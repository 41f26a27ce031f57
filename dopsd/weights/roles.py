"""Who speaks through one network: the student, who learns; the teacher, who follows; the base, who stays.

>>> with roles.as_teacher():
...     opinion = denoiser.velocity(x, sigma, contexts)

`adapter` casts them with a LoRA, `whole` with all weights.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from torch import Tensor, nn

from dopsd.family import Network


class Roles(Protocol):
    """One network in its parts. Outside of `as_teacher` and `as_base` it speaks as the student, with gradient."""

    @property
    def network(self) -> Network:
        """The network that all of them speak through."""
        ...

    @property
    def student(self) -> Mapping[str, nn.Parameter]:
        """The fp32 weights that learn."""
        ...

    @property
    def teacher(self) -> Mapping[str, Tensor]:
        """The fp32 weights of an "ema" teacher, under the same names; empty for the other teachers."""
        ...

    def as_teacher(self) -> AbstractContextManager[None]:
        """Let the network speak as the teacher, without gradient."""
        ...

    def as_base(self) -> AbstractContextManager[None]:
        """Let the network speak as the base that was loaded, without gradient."""
        ...

    def follow_(self, decay: float) -> None:
        """Move the teacher towards the student in fp32: teacher = decay * teacher + (1 - decay) * student."""
        ...

    def distance(self) -> float:
        """Measure how far the student is ahead of an "ema" teacher, relative to its own length; 0 for the others."""
        ...
