"""D-OPSD with an anchor: what the concept's words do not name is held on to, at the student's own states as well.

>>> [term.name for term in AnchoredDistillation(training).terms(denoiser, roles, scene)]  # 1 to K, anchor_1 to anchor_K

This is ours, not the paper's: the same distillation once more, of captions in plain words, where the base teaches.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from dopsd.dataset.examples import Example
from dopsd.family import Context, Denoiser
from dopsd.methods.distillation import Distillation
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.weights.roles import Roles

_ROUNDING = 0.05
"""Of a token's length: in another batch it comes out the same but for rounding, and a noun for the concept moves it by
a quarter and more (the tiny encoders)."""


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
        words = _unlike(scene.student, scene.plain)
        weight = self._weight if words else 0.0  # walked all the same: processes that share weights keep step
        plainly = replace(scene, student=words or scene.plain, teacher=words or scene.plain)
        base: Any = _BaseTeaches(roles)  # nothing else is asked of roles
        for term in self._distillation.terms(denoiser, base, plainly):
            yield Term(weight * term.loss, term.gap, f"anchor_{term.name}")


def _unlike(told: Sequence[Context], plain: Sequence[Context]) -> list[Context]:
    """Give plain words for every row; a row that is told no others gets those of the first that is. None may be.

    A caption that does not name the concept, such as that of a replayed picture, is to be learnt as it is.
    """
    are_alike = [_say_the_same(row, words) for row, words in zip(told, plain, strict=True)]
    others = [words for words, is_alike in zip(plain, are_alike, strict=True) if not is_alike]
    if not others:
        return []
    return [others[0] if is_alike else words for words, is_alike in zip(plain, are_alike, strict=True)]


def _say_the_same(one: Context, other: Context) -> bool:
    """Tell whether every token is the same, but for what was read beside it in a batch."""
    if one.tokens.shape != other.tokens.shape:
        return False
    apart = (one.tokens - other.tokens).float().norm(dim=-1)
    return bool((apart < _ROUNDING * one.tokens.float().norm(dim=-1)).all())


@dataclass(frozen=True)
class _BaseTeaches:
    """The same roles, where the base speaks in the teacher's place."""

    roles: Roles

    def as_teacher(self) -> AbstractContextManager[None]:
        """Let the base speak."""
        return self.roles.as_base()
