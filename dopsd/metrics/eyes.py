"""What a distance between sets of pictures looks with: anything that turns pictures into features.

>>> eyes = DinoDistance("models/tiny-dino")  # or InceptionFeatures
>>> name("fid", eyes)  # fid@tiny-dino@fd13df0d32fa
"""

from collections.abc import Sequence
from typing import Protocol

from PIL.Image import Image
from torch import Tensor


class Eyes(Protocol):
    """A feature extractor whose `name` ends in model@revision."""

    name: str

    def features(self, images: Sequence[Image]) -> Tensor:
        """Give a row of features a picture, shape (n, width)."""
        ...


def name(metric: str, eyes: Eyes) -> str:
    """Name a metric that looks with `eyes`: metric@model@revision."""
    return f"{metric}@{eyes.name.partition('@')[2]}"
