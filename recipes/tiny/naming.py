"""Naming as a way to see: linear heads that tell every attribute of a scene from one feature vector.

    loss = Naming(width=96).loss(features, scenes)

Talk and contrast alone teach small eyes too slowly: after 77,000 images they told colours, but no shapes.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from recipes.tiny.world import COLOURS, PATTERNS, PLACES, SHAPES, SIZES, STYLES, TEXTURES, Scene

_ATTRIBUTES: tuple[tuple[tuple[str, ...], Callable[[Scene], str]], ...] = (
    (SHAPES, lambda scene: scene.concept.shape),
    (PATTERNS, lambda scene: scene.concept.pattern),
    (tuple(COLOURS), lambda scene: scene.concept.ink),
    (tuple(COLOURS), lambda scene: scene.concept.mark),
    (tuple(COLOURS), lambda scene: scene.background),
    (TEXTURES, lambda scene: scene.texture),
    (STYLES, lambda scene: scene.style),
    (tuple(SIZES), lambda scene: scene.size),
    (tuple(PLACES), lambda scene: scene.place),
)


class Naming(nn.ModuleList):
    """One head an attribute; they are thrown away once the eyes below them see."""

    def __init__(self, width: int) -> None:
        """Build the heads over features of `width`."""
        super().__init__(nn.Linear(width, len(words)) for words, _ in _ATTRIBUTES)

    def loss(self, features: Tensor, scenes: Sequence[Scene]) -> Tensor:
        """Average the cross-entropy of all attributes over `features` (n, width) of n scenes."""
        named = [torch.tensor([words.index(of(scene)) for scene in scenes]) for words, of in _ATTRIBUTES]
        return sum(cross_entropy(head(features), name) for head, name in zip(self, named, strict=True)) / len(self)
