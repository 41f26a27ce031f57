"""The eyes of FID: the Inception network of 2015, as everyone's FID has it.

>>> InceptionFeatures("models/inception-2015").features([picture]).shape  # (1, 2048)

Not the network that torchvision trained: pools leave out their padding, and the last one takes the maximum. Names of
weights are torchvision's, as in the published port of them; docs/metrics.md says how the folder is made.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, relu
from transformers import PreTrainedConfig, PreTrainedModel

from dopsd.dataset.batching import ROWS, rows_alike
from dopsd.metrics.inception_layout import BLOCKS, STEM, UNPADDED, Piece, Step, steps
from dopsd.pixels import pixels
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load_whole, named

_SIDE_PX = 299


class InceptionConfig(PreTrainedConfig):
    """`shrink` divides all widths: 1 is the published network, 16 a small one for tests."""

    model_type = "inception-2015"

    def __init__(self, shrink: int = 1, **rest: object) -> None:
        """Take the divisor; the rest is what every configuration of transformers has."""
        self.shrink = shrink
        super().__init__(**rest)


class Convolution(nn.Module):
    """A convolution without bias, batch normalisation, ReLU; padded to keep the sides unless it strides."""

    def __init__(self, depth: int, width: int, step: Step) -> None:
        """Build `step` from `depth` channels to `width`."""
        super().__init__()
        is_padded = step.stride == 1 and step.name not in UNPADDED
        padding = (step.kernel[0] // 2, step.kernel[1] // 2) if is_padded else (0, 0)
        self.conv = nn.Conv2d(depth, width, step.kernel, step.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Keep shape (n, channels, height, width)."""
        return relu(self.bn(self.conv(x)))


class Branches(nn.Module):
    """Paths side by side over the same input, their results joined channel by channel."""

    def __init__(self, depth: int, branches: Sequence[Sequence[Piece]], shrink: int, prefix: str = "branch") -> None:
        """Build every path from `depth` channels; `width` says how many come out."""
        super().__init__()
        self._branches, self._prefix, self.width = branches, prefix, 0
        for pieces in branches:
            come = depth
            for piece in pieces:
                forked = steps(piece)
                for step in forked:
                    self.add_module(prefix + step.name, Convolution(come, step.width // shrink, step))
                come = sum(step.width // shrink for step in forked) or come
            self.width += come

    def forward(self, x: Tensor) -> Tensor:
        """Walk each path and join the ends."""
        return torch.cat([self._walked(x, pieces) for pieces in self._branches], 1)

    def _walked(self, x: Tensor, pieces: Sequence[Piece]) -> Tensor:
        for piece in pieces:
            if isinstance(piece, str):
                x = _pooled(x, piece)
            else:
                x = torch.cat([self.get_submodule(self._prefix + step.name)(x) for step in steps(piece)], 1)
        return x


class Inception(PreTrainedModel):
    """The whole network, up to the mean over positions: pictures in [0, 1] to features."""

    config_class = InceptionConfig
    base_model_prefix = ""
    _keys_to_ignore_on_load_missing = [r"num_batches_tracked"]  # the published file is older than these counters

    def __init__(self, config: InceptionConfig) -> None:
        """Build the stem, whose convolutions lie at the top, and the blocks after it."""
        super().__init__(config)
        stem = Branches(3, [STEM], config.shrink, prefix="")
        for name, module in stem.named_children():
            self.add_module(name, module)
        width = stem.width
        for name, branches in BLOCKS.items():
            block = Branches(width, branches, config.shrink)
            self.add_module(name, block)
            width = block.width
        self.post_init()

    def forward(self, x: Tensor) -> Tensor:
        """Give features (n, 2048 / shrink) of pictures in [0, 1], shape (n, 3, 299, 299)."""
        x = 2 * x - 1
        for piece in STEM:
            x = _pooled(x, piece) if isinstance(piece, str) else self.get_submodule(steps(piece)[0].name)(x)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))


class InceptionFeatures:
    """Features of pictures of any size, each brought to 299 px by an antialiased bicubic (arXiv:2104.11222)."""

    def __init__(self, model: str | Path, placement: Placement = CPU) -> None:
        """Load the network in fp32. Raises FileNotFoundError where it is missing, ValueError where weights are."""
        self.name = f"inception@{named(model)}"
        self._network = load_whole(Inception, model).to(placement.device).eval()

    @torch.no_grad()
    def features(self, images: Sequence[Image]) -> Tensor:
        """Give a row a picture, shape (n, 2048)."""
        seen: dict[int, Tensor] = {}
        for rows in rows_alike([image.size for image in images], ROWS):
            x = pixels([images[row] for row in rows]).to(self._network.device)
            x = interpolate(x, (_SIDE_PX, _SIDE_PX), mode="bicubic", antialias=True).clamp(0, 1)
            seen |= dict(zip(rows, self._network(x).cpu(), strict=True))
        return torch.stack([seen[row] for row in range(len(images))])


def _pooled(x: Tensor, kind: str) -> Tensor:
    if kind == "half":
        return max_pool2d(x, 3, 2)
    return max_pool2d(x, 3, 1, 1) if kind == "max" else avg_pool2d(x, 3, 1, 1, count_include_pad=False)
