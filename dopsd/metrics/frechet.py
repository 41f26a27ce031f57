"""Frechet distance of two sets of pictures, as Gaussians in a feature space; 0 is the same, lower is nearer.

>>> measure = FrechetDistance(InceptionFeatures("models/inception-2015"))  # FID, arXiv:1706.08500
>>> measure.distance(generated, real)

With any other eyes it is a metric of another name: numbers of one feature space say nothing about another. It falls
with the number of pictures (of one and the same distribution by two thirds from 512 to 2048), so compare equal counts.
"""

import warnings
from collections.abc import Sequence

import torch
from PIL.Image import Image
from torch import Tensor

from dopsd.metrics.eyes import Eyes, name

ENOUGH = 2048
"""Pictures a set from which on the bias is small beside what training seeds do."""


class FrechetDistance:
    """Frechet distance in the feature space of `eyes`."""

    def __init__(self, eyes: Eyes, metric: str = "fid") -> None:
        """Take a feature extractor, and the name of what is measured with it."""
        self.name = name(metric, eyes)
        self.eyes = eyes

    def distance(self, images: Sequence[Image], reference: Sequence[Image]) -> float:
        """Measure one set against another, all pictures at once; warns where there are few."""
        self.warn_of_few(min(len(images), len(reference)))
        return self.between(self.eyes.features(images), self.eyes.features(reference))

    def between(self, ours: Tensor, theirs: Tensor) -> float:
        """Measure two clouds of features, shapes (n, width) and (m, width)."""
        return frechet(ours, theirs)

    def warn_of_few(self, count: int) -> None:
        """Warn where `count` pictures a set are too few for the number to stand by itself."""
        if count < ENOUGH:
            said = f"{self.name} of {count} pictures is mostly bias: give {ENOUGH} or compare equal counts only"
            warnings.warn(said, stacklevel=2)


def frechet(ours: Tensor, theirs: Tensor) -> float:
    """Measure two clouds of features, shapes (n, width) and (m, width), in fp64.

    Raises ValueError for fewer than two rows, which have no covariance.
    """
    for rows in (ours, theirs):
        if len(rows) < 2:
            raise ValueError(f"{len(rows)} pictures have no covariance: give at least two to a Frechet distance")
    ours, theirs = ours.double(), theirs.double()
    return gaussian_frechet((ours.mean(0), _spread(ours)), (theirs.mean(0), _spread(theirs)))


def gaussian_frechet(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> float:
    """Measure two Gaussians, given as mean and covariance: |m - n|^2 + tr(S) + tr(T) - 2 tr((S T)^(1/2)).

    The trace of the root is that of (S^(1/2) T S^(1/2))^(1/2), whose roots are of symmetric matrices: no complex
    numbers come in, however flat the clouds are (arXiv:1706.08500, eq. 6).
    """
    (mean, spread), (other_mean, other_spread) = ours, theirs
    half = _root(spread)
    overlap = torch.linalg.eigvalsh(half @ other_spread @ half).clamp_min(0).sqrt().sum()
    apart = (mean - other_mean).square().sum() + spread.trace() + other_spread.trace() - 2 * overlap
    return max(apart.item(), 0.0)


def _spread(rows: Tensor) -> Tensor:
    return torch.atleast_2d(rows.T.cov())


def _root(spread: Tensor) -> Tensor:
    """Take the square root of a covariance; eigenvalues that rounding made negative are none."""
    values, vectors = torch.linalg.eigh(spread)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T
