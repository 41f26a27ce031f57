"""DINO-D: how far pictures are from their targets in the eyes of DINO; 0 is the same, lower is nearer.

>>> measure = DinoDistance("models/tiny-dino")
>>> measure.name  # dino_d@tiny-dino@fd13df0d32fa
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL.Image import Image, Resampling
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import AutoModel

from dopsd.dataset.batching import ROWS, rows_alike
from dopsd.pixels import pixels
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load, named, weights

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DinoDistance:
    """Cosine distance between mean patch tokens, as the authors' evaluation has it (not the CLS token).

    Pictures are seen at their own size; a target is brought to the picture's size first (PIL, bicubic). Any model of
    transformers whose tokens are [CLS, registers, patches] serves: DINOv3 or DINOv2, with the metric's name saying
    which. The processor is ours, since DINOv3's needs torchvision.
    """

    def __init__(self, model: str | Path, placement: Placement = CPU) -> None:
        """Load the model in fp32. Raises FileNotFoundError where it is missing or incomplete."""
        self.name = f"dino_d@{named(model)}"
        self._network = load(AutoModel, model, **weights(dtype=torch.float32)).to(placement.device).eval()

    def distances(self, images: Sequence[Image], targets: Sequence[Image]) -> list[float]:
        """Measure each picture against its target, in [0, 2]."""
        fitted = [
            target.convert("RGB").resize(image.size, Resampling.BICUBIC)
            for image, target in zip(images, targets, strict=True)
        ]
        return (1 - cosine_similarity(self.features(images), self.features(fitted), dim=-1)).tolist()

    @torch.no_grad()
    def features(self, images: Sequence[Image]) -> Tensor:
        """Average the patch tokens of each picture, shape (n, width); sides that are no multiple of a patch are cut."""
        patch, first = self._network.config.patch_size, 1 + getattr(self._network.config, "num_register_tokens", 0)
        seen: dict[int, Tensor] = {}
        for rows in rows_alike([image.size for image in images], ROWS):
            x = pixels([images[row] for row in rows])
            x = x[..., : x.shape[-2] // patch * patch, : x.shape[-1] // patch * patch]
            x = (x - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_STD).view(3, 1, 1)
            tokens = self._network(pixel_values=x.to(self._network.device)).last_hidden_state[:, first:]
            seen |= dict(zip(rows, tokens.mean(1).cpu(), strict=True))
        return torch.stack([seen[row] for row in range(len(images))])
