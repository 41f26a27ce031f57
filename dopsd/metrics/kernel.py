"""KID: squared maximum mean discrepancy of two sets of pictures (arXiv:1801.01401); about 0 is the same.

>>> KernelDistance(InceptionFeatures("models/inception-2015")).distance(generated, real)

Unlike FID it has no bias at any count, which is why it may fall a little below 0; what it has is spread.
"""

import warnings
from collections.abc import Sequence

from PIL.Image import Image
from torch import Tensor

from dopsd.metrics.eyes import Eyes, name

ENOUGH = 64
"""Pictures a set below which the spread hides all but collapse."""


class KernelDistance:
    """Unbiased squared MMD with the cubic polynomial kernel, in the feature space of `eyes`."""

    def __init__(self, eyes: Eyes, metric: str = "kid") -> None:
        """Take a feature extractor, and the name of what is measured with it."""
        self.name = name(metric, eyes)
        self.eyes = eyes

    def distance(self, images: Sequence[Image], reference: Sequence[Image]) -> float:
        """Measure one set against another, all pictures at once; warns where there are few."""
        self.warn_of_few(min(len(images), len(reference)))
        return self.between(self.eyes.features(images), self.eyes.features(reference))

    def between(self, ours: Tensor, theirs: Tensor) -> float:
        """Measure two clouds of features, shapes (n, width) and (m, width)."""
        return mmd(ours, theirs)

    def warn_of_few(self, count: int) -> None:
        """Warn where `count` pictures a set are too few for the number to stand by itself."""
        if count < ENOUGH:
            said = f"{self.name} of {count} pictures is mostly chance: give at least {ENOUGH}"
            warnings.warn(said, stacklevel=2)


def mmd(ours: Tensor, theirs: Tensor) -> float:
    """Estimate the squared MMD of two clouds, shapes (n, width) and (m, width), in fp64, without bias.

    Raises ValueError for fewer than two rows, which make no pair.
    """
    for rows in (ours, theirs):
        if len(rows) < 2:
            raise ValueError(f"{len(rows)} pictures make no pair: give at least two to a kernel distance")
    ours, theirs = ours.double(), theirs.double()
    return (_within(ours) + _within(theirs) - 2 * _cubic(ours, theirs).mean()).item()


def _within(x: Tensor) -> Tensor:
    """Average the kernel over pairs of different rows."""
    kernel = _cubic(x, x)
    return (kernel.sum() - kernel.trace()) / (len(x) * (len(x) - 1))


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3
