"""LPIPS-D: how different pictures are from their targets in VGG's layers (LPIPS 0.1, arXiv:1801.03924); 0 is the same.

>>> measure = PerceptualDistance("models/lpips-vgg")
>>> measure.distances([picture], [target])

docs/metrics.md says how the folder is made from the two published weight files.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL.Image import Image, Resampling
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu
from transformers import PreTrainedConfig, PreTrainedModel

from dopsd.dataset.batching import ROWS, rows_alike
from dopsd.pixels import pixels
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load_whole, named

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""The published mean and deviation of pictures in [-1, 1]."""
_SMALLEST = 1e-10


class LpipsConfig(PreTrainedConfig):
    """Channels of each block of convolutions, between which the picture is halved; the default is VGG16."""

    model_type = "lpips"

    def __init__(
        self,
        widths: Sequence[Sequence[int]] = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
        **rest: object,
    ) -> None:
        """Take the widths; the rest is what every configuration of transformers has."""
        self.widths = [list(block) for block in widths]
        super().__init__(**rest)


class Lpips(PreTrainedModel):
    """VGG's blocks, and what each channel of them counts; names of weights are torchvision's and LPIPS's own."""

    config_class = LpipsConfig
    base_model_prefix = ""

    def __init__(self, config: LpipsConfig) -> None:
        """Lay the blocks out as torchvision's VGG does: 3 x 3 convolution, ReLU, and a pool between blocks."""
        super().__init__(config)
        layers: list[nn.Module] = []
        depth = 3
        for block in config.widths:
            layers += [nn.MaxPool2d(2)] * bool(layers)
            for width in block:
                layers += [nn.Conv2d(depth, width, 3, padding=1), nn.ReLU()]
                depth = width
        self.features = nn.Sequential(*layers)
        for index, block in enumerate(config.widths):
            head = nn.Conv2d(block[-1], 1, 1, bias=False)
            self.add_module(f"lin{index}", nn.ModuleDict({"model": nn.Sequential(nn.Dropout(), head)}))
        self.post_init()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Measure pictures in [0, 1], shape (n, 3, height, width), against others: shape (n,), never negative."""
        total = torch.zeros(len(x), device=x.device)
        for index, (ours, theirs) in enumerate(zip(self._blocks(x), self._blocks(y), strict=True)):
            head = self.get_submodule(f"lin{index}.model.1")
            total = total + head((_unit(ours) - _unit(theirs)).square()).mean((1, 2, 3))
        return total

    def _blocks(self, x: Tensor) -> Iterator[Tensor]:
        """Yield what each block ends with, before it is pooled."""
        shift, scale = (torch.tensor(row, device=x.device).view(3, 1, 1) for row in (_SHIFT, _SCALE))
        x = (2 * x - 1 - shift) / scale
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                yield x
                x = max_pool2d(x, 2)
            else:
                x = relu(x) if isinstance(layer, nn.ReLU) else layer(x)
        yield x


class PerceptualDistance:
    """LPIPS with VGG, as the authors' evaluation has it: pictures at their own size, targets brought to that size."""

    def __init__(self, model: str | Path, placement: Placement = CPU) -> None:
        """Load the network in fp32. Raises FileNotFoundError where it is missing, ValueError where weights are."""
        self.name = f"lpips_d@{named(model)}"
        self._network = load_whole(Lpips, model).to(placement.device).eval()

    @torch.no_grad()
    def distances(self, images: Sequence[Image], targets: Sequence[Image]) -> list[float]:
        """Measure each picture against its target (PIL, bicubic); 0 for the same, rarely above 1."""
        found: dict[int, float] = {}
        for rows in rows_alike([image.size for image in images], ROWS):
            some = [images[row] for row in rows]
            fitted = [targets[row].convert("RGB").resize(images[row].size, Resampling.BICUBIC) for row in rows]
            apart = self._network(pixels(some).to(self._network.device), pixels(fitted).to(self._network.device))
            found |= dict(zip(rows, apart.tolist(), strict=True))
        return [found[row] for row in range(len(images))]


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True).sqrt() + _SMALLEST)
