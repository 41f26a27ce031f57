"""Diversity: how different the pictures of one prompt are from seed to seed; 0 where all are the same.

>>> Diversity(DinoDistance("models/tiny-dino")).spreads([first, second, third])

A model that has learnt its targets by heart draws them whatever the noise is; one that lost its steps draws the mean.
"""

from collections.abc import Sequence

from PIL.Image import Image
from torch.nn.functional import normalize

from dopsd.metrics.eyes import Eyes, name


class Diversity:
    """Mean pairwise cosine distance across the pictures of one prompt, in the feature space of `eyes`."""

    def __init__(self, eyes: Eyes) -> None:
        """Take a feature extractor."""
        self.name = name("diversity", eyes)
        self._eyes = eyes

    def spreads(self, images: Sequence[Image]) -> list[float]:
        """Measure each picture's mean distance to the others, in [0, 2]; the mean of these is that over all pairs.

        Raises ValueError for a single picture.
        """
        if len(images) < 2:
            raise ValueError("one picture has nothing to differ from: give at least two evaluate.seeds to diversity")
        features = normalize(self._eyes.features(images).double(), dim=-1)
        apart = 1 - features @ features.T
        return ((apart.sum(1) - apart.diagonal()) / (len(images) - 1)).clamp_min(0).tolist()
