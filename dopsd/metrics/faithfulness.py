"""CLIP-S: how well pictures show what their prompts say; the cosine of image and text, higher is better.

>>> measure = ClipScore("models/tiny-clip")
>>> measure.scores([picture], ["a star on a blue background"])
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from dopsd.dataset.batching import ROWS
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load, named, weights


class ClipScore:
    """Cosine similarity of CLIP's image and text embeddings.

    The image processor is PIL's, so that machines with and without torchvision agree to the bit.
    """

    def __init__(self, model: str | Path, placement: Placement = CPU) -> None:
        """Load the model in fp32. Raises FileNotFoundError where it is missing or incomplete."""
        self.name = f"clip_s@{named(model)}"
        self._network = load(CLIPModel, model, **weights(dtype=torch.float32)).to(placement.device).eval()
        self._processor = load(CLIPImageProcessorPil, model)
        self._tokenizer = load(AutoTokenizer, model)

    def scores(self, images: Sequence[Image], prompts: Sequence[str]) -> list[float]:
        """Score each picture against its prompt, in [-1, 1]. Prompts beyond CLIP's length are cut, as everywhere."""
        if len(images) != len(prompts):
            raise ValueError(f"{len(images)} pictures for {len(prompts)} prompts: give one prompt a picture")
        return cosine_similarity(self.image_features(images), self.text_features(prompts), dim=-1).tolist()

    @torch.no_grad()
    def image_features(self, images: Sequence[Image]) -> Tensor:
        """Embed pictures, shape (n, width), not normalised."""
        parts = []
        for start in range(0, len(images), ROWS):
            some = [image.convert("RGB") for image in images[start : start + ROWS]]
            inputs = self._processor(some, return_tensors="pt")
            parts.append(self._network.get_image_features(**inputs.to(self._network.device)).pooler_output.cpu())
        return torch.cat(parts)

    @torch.no_grad()
    def text_features(self, prompts: Sequence[str]) -> Tensor:
        """Embed texts, shape (n, width), not normalised; beyond CLIP's length they are cut."""
        parts = []
        longest = self._network.config.text_config.max_position_embeddings
        for start in range(0, len(prompts), ROWS):
            some = list(prompts[start : start + ROWS])
            inputs = self._tokenizer(some, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            parts.append(self._network.get_text_features(**inputs.to(self._network.device)).pooler_output.cpu())
        return torch.cat(parts)
