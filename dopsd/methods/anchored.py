"""D-OPSD with an anchor: what the concept's words do not name is held on to, at the student's own states as well.

>>> [term.name for term in AnchoredDistillation(training).terms(denoiser, roles, scene)]  # 1 to K, anchor_1 to anchor_K

This is ours, not the paper's: the same distillation once more, of captions in plain words, where the base teaches.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from dopsd.examples import Example
from dopsd.family import Denoiser
from dopsd.methods.distillation import Distillation
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.roles import Roles


class AnchoredDistillation:
    """Told the concept, the student comes to the teacher, who sees it; told plain words, it stays with the base."""

    needs = Needs(teacher=True, base=True)

    def __init__(self, training: Training) -> None:
        """Take how much the anchor counts, and what the recipe says about distillation."""
        self._weight, self._distillation = training.anchor_weight, Distillation(training)

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> None:
        """Prepare nothing; raises ValueError for an example without a caption in plain words."""
        _ = example.in_plain_words

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield eq. 6, and then `anchor_weight` times the same of plain words, under the base."""
        yield from self._distillation.terms(denoiser, roles, scene)
        plainly = replace(scene, student=scene.plain, teacher=scene.plain)
        base: Any = _BaseTeaches(roles)  # nothing else is asked of roles
        for term in self._distillation.terms(denoiser, base, plainly):
            yield Term(self._weight * term.loss, term.gap, f"anchor_{term.name}")


@dataclass(frozen=True)
class _BaseTeaches:
    """The same roles, where the base speaks in the teacher's place."""

    roles: Roles

    def as_teacher(self) -> AbstractContextManager[None]:
        """Let the base speak."""
        return self.roles.as_base()
