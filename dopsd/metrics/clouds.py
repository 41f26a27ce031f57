"""How far apart two sets of pictures are, as clouds in a feature space: the frame that FID, KID and their like share.

>>> KernelDistance(InceptionFeatures("models/inception-2015")).distance(generated, real)

With any other eyes it is a metric of another name: numbers of one feature space say nothing about another.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from PIL.Image import Image
from torch import Tensor

from dopsd.metrics.eyes import Eyes, name


class CloudDistance(ABC):
    """A distance in the feature space of `eyes`."""

    metric: ClassVar[str]
    """What it is called with the eyes that it was published for."""
    enough: ClassVar[int]
    """Pictures a set from which on the number stands by itself."""
    few: ClassVar[str]
    """What the number is where there are fewer, and what to do."""

    def __init__(self, eyes: Eyes, metric: str | None = None) -> None:
        """Take a feature extractor, and the name of what is measured with it."""
        self.name = name(metric or self.metric, eyes)
        self.eyes = eyes

    @abstractmethod
    def between(self, ours: Tensor, theirs: Tensor) -> float:
        """Measure two clouds of features, shapes (n, width) and (m, width)."""

    def distance(self, images: Sequence[Image], reference: Sequence[Image]) -> float:
        """Measure one set against another, all pictures at once; warns where there are few."""
        self.warn_of_few(min(len(images), len(reference)))
        return self.between(self.eyes.features(images), self.eyes.features(reference))

    def warn_of_few(self, count: int) -> None:
        """Warn where `count` pictures a set are too few for the number to stand by itself."""
        if count < self.enough:
            warnings.warn(f"{self.name} of {count} pictures is {self.few}", stacklevel=2)
