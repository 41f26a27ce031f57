"""Frechet distance of two sets of pictures, as Gaussians in a feature space; 0 is the same, lower is nearer.

>>> measure = FrechetDistance(InceptionFeatures("models/inception-2015"))  # FID, arXiv:1706.08500
>>> measure.distance(generated, real)

It falls with the number of pictures (of one and the same distribution by two thirds from 512 to 2048), so compare
equal counts.
"""

import torch
from torch import Tensor

from dopsd.metrics.clouds import CloudDistance


class FrechetDistance(CloudDistance):
    """Frechet distance in the feature space of `eyes`; from 2048 pictures on its bias is less than what seeds do."""

    metric, enough = "fid", 2048
    few = "mostly bias: give 2048 or compare equal counts only"

    def between(self, ours: Tensor, theirs: Tensor) -> float:
        """Measure two clouds of features, shapes (n, width) and (m, width)."""
        return frechet(ours, theirs)


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
