"""Few-step signals: what goes first when tuning costs a model its few steps.

>>> curvature(walk); sharpness(images); contrast(images); noise_floor(images)

A collapsed model bends its path more, and its pictures are blurred, greyed, or grainy at the deployed steps. Each is
compared with the base's own pictures from the same prompts and seeds. The logs make differences relative.
"""

from collections.abc import Sequence
from math import log, sqrt

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from dopsd.pixels import pixels
from dopsd.sampling import Walk

_DB2_HIGH = [(1 - sqrt(3)) / 4, -(3 - sqrt(3)) / 4, (3 + sqrt(3)) / 4, -(1 + sqrt(3)) / 4]
_SMALLEST = 1e-6
_GAUSSIAN_QUARTILE = 0.6744897501960817


def curvature(walk: Walk) -> list[float]:
    """Measure how bent each roll-out is: variance of its velocity over the mean velocity squared; 0 is straight.

    Steps count by their length in sigma, so that grids of one walk and another compare.
    """
    lengths = walk.sigmas[:-1] - walk.sigmas[1:]
    weight = (lengths / lengths.sum()).view(-1, 1, 1, 1, 1).to(walk.velocities.device)
    mean = (weight * walk.velocities).sum(0)
    spread = (weight * (walk.velocities - mean).square()).sum((0, 2, 3, 4))
    return (spread / mean.square().sum((1, 2, 3)).clamp_min(_SMALLEST)).tolist()


def sharpness(images: Sequence[Image]) -> list[float]:
    """Measure the log gradient energy (Tenengrad) at half resolution, where leftover grain does not pass for detail."""
    half = avg_pool2d(_grey(images), 2)
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
    gradients = conv2d(half, torch.stack([sobel, sobel.T]).unsqueeze(1))
    return _logs(gradients.square().sum(1).mean((1, 2)))


def contrast(images: Sequence[Image]) -> list[float]:
    """Measure the log standard deviation of the grey values."""
    return _logs(_grey(images).flatten(1).std(dim=1, correction=0))


def noise_floor(images: Sequence[Image]) -> list[float]:
    """Measure the log noise level: median size of the finest diagonal db2 wavelet details (Donoho & Johnstone 1994).

    Details that are exactly zero are left out, as in scikit-image's `estimate_sigma`: flat areas hold no noise.
    """
    high = torch.tensor(_DB2_HIGH) / sqrt(2)
    details = conv2d(_grey(images), torch.outer(high, high).view(1, 1, 4, 4), stride=2).flatten(1).abs()
    return [_log((row[row > 0].median().item() if (row > 0).any() else 0.0) / _GAUSSIAN_QUARTILE) for row in details]


def _grey(images: Sequence[Image]) -> Tensor:
    return pixels(images).mean(1, keepdim=True)


def _logs(values: Tensor) -> list[float]:
    return [_log(value) for value in values.tolist()]


def _log(value: float) -> float:
    return log(max(value, _SMALLEST))
