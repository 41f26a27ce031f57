"""Captions for pictures that came without one, by the vision-language model as it is.

>>> Captioner("models/tiny-qwen3-vl").captions([picture], "Describe this image in one sentence.")
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL.Image import Image

from dopsd.placement import CPU, Placement
from dopsd.vision_language import load_vision_language

_MOST_NEW_TOKENS = 128


class Captioner:
    """A Qwen3-VL that describes; greedy, so the same picture gets the same caption."""

    def __init__(self, model: str | Path, placement: Placement = CPU) -> None:
        """Load the model. Raises FileNotFoundError where its directory is missing or incomplete."""
        self._seeing = load_vision_language(model, placement)

    def captions(self, images: Sequence[Image], instruction: str) -> list[str]:
        """Answer `instruction` for each RGB picture, as `answers` does."""
        return self.answers(images, [instruction] * len(images))

    @torch.no_grad()
    def answers(self, images: Sequence[Image], instructions: Sequence[str]) -> list[str]:
        """Answer an instruction for each RGB picture, at most 128 tokens; what the model says, stripped."""
        captions: dict[int, str] = {}
        tokenizer = self._seeing.processor.tokenizer
        for batch in self._seeing.batches(instructions, images):
            said = self._seeing.model.generate(**batch.inputs, max_new_tokens=_MOST_NEW_TOKENS, do_sample=False)
            new = said[:, batch.inputs["input_ids"].shape[1] :]
            texts = tokenizer.batch_decode(new, skip_special_tokens=True)
            captions |= {row: text.strip() for row, text in zip(batch.rows, texts, strict=True)}
        return [captions[row] for row in range(len(images))]
