"""What objects a picture shows and where, by a Mask2Former of transformers.

>>> Segmenter("models/mask2former-swin-small-coco-instance").found([picture], at_least=0.3)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL.Image import Image
from transformers import Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessorPil

from dopsd.placement import CPU, Placement
from dopsd.pretrained import load, load_whole, named

_CALLED = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}
"""COCO's names that GenEval says in other words."""


@dataclass(frozen=True)
class Found:
    """One object: its class, how sure that is, and its pixels, shape (height, width)."""

    name: str
    score: float
    mask: npt.NDArray[np.bool_]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Give left, top, right, bottom in pixels, right and bottom just outside."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


class Segmenter:
    """Instance segmentation; the image processor is PIL's, so that torchvision changes nothing."""

    def __init__(self, model: str | Path, placement: Placement = CPU) -> None:
        """Load the model in fp32. Raises FileNotFoundError where it is missing or incomplete."""
        self.name = named(model)
        self._network = load_whole(Mask2FormerForUniversalSegmentation, model).to(placement.device).eval()
        self._processor = load(Mask2FormerImageProcessorPil, model)

    @torch.no_grad()
    def found(self, images: Sequence[Image], *, at_least: float) -> list[list[Found]]:
        """List the objects of each picture that are at least this sure."""
        names = {number: _CALLED.get(name, name) for number, name in self._network.config.id2label.items()}
        listed = []
        for image in images:  # one by one: pictures of one batch would be padded to its largest
            inputs = self._processor([image.convert("RGB")], return_tensors="pt").to(self._network.device)
            seen = self._processor.post_process_instance_segmentation(
                self._network(**inputs),
                threshold=at_least,
                target_sizes=[(image.height, image.width)],
                return_binary_maps=True,
            )[0]
            masks = np.asarray(seen["segmentation"]) > 0  # a map of -1 where nothing was found
            rows = zip(seen["segments_info"], masks, strict=False)
            listed.append([Found(names[row["label_id"]], row["score"], mask) for row, mask in rows])
        return listed
