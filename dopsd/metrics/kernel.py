"""KID: squared maximum mean discrepancy of two sets of pictures (arXiv:1801.01401); about 0 is the same.

>>> KernelDistance(InceptionFeatures("models/inception-2015")).distance(generated, real)

Unlike FID it has no bias at any count, which is why it may fall a little below 0; what it has is spread.
"""

from torch import Tensor

from dopsd.metrics.clouds import CloudDistance


class KernelDistance(CloudDistance):
    """Unbiased squared MMD with the cubic polynomial kernel; below 64 pictures spread hides all but collapse."""

    metric, enough = "kid", 64
    few = "mostly chance: give at least 64"

    def between(self, ours: Tensor, theirs: Tensor) -> float:
        """Measure two clouds of features, shapes (n, width) and (m, width)."""
        return mmd(ours, theirs)


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
