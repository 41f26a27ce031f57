"""Qwen3-VL as we use it: pictures and text in, without torchvision and without video.

>>> model = teacher_vlm(text_encoder, "models/tiny-qwen3-vl", CPU)  # the base's own Qwen3, now with eyes
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image
from torch import cat, nn
from transformers import BatchFeature, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
from transformers.processing_utils import ProcessorMixin

from dopsd.dataset.batching import rows_alike
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load, load_network

_FEWEST_PIXELS, _MOST_PIXELS = 512**2, 768**2
"""The range of sizes that the authors show to a full-size VLM: 256 to 576 image tokens."""


class ImageOnlyProcessor(Qwen3VLProcessor):
    """The processor without its video half, which cannot be built where torchvision is missing."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None) -> None:
        """Set the tokens that the parent class sets, and leave the video processor out."""
        number = tokenizer.convert_tokens_to_ids
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.vision_start_token, self.vision_end_token = "<|vision_start|>", "<|vision_end|>"
        self.image_token_id, self.video_token_id = number(self.image_token), number(self.video_token)
        self.vision_start_token_id = number(self.vision_start_token)
        self.vision_end_token_id = number(self.vision_end_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


Message = dict[str, Any]
"""What one side says in a conversation, as chat templates take it."""


@dataclass(frozen=True)
class Batch:
    """Model inputs of equal length, and the rows of the caller's list that they answer."""

    rows: list[int]
    inputs: BatchFeature


@dataclass(frozen=True)
class VisionLanguage:
    """A Qwen3VLForConditionalGeneration and the processor that prepares its inputs."""

    model: Any
    processor: ImageOnlyProcessor

    def batches(self, texts: Sequence[str], images: Sequence[Image | None]) -> Iterator[Batch]:
        """Prepare one user turn a row, [image, text], in batches of equal length."""
        shown = [[] if image is None else [image] for image in images]
        yield from self.talks([[said("user", text, some)] for text, some in zip(texts, shown, strict=True)])

    def talks(self, conversations: Sequence[Sequence[Message]]) -> Iterator[Batch]:
        """Prepare one conversation a row, in batches of equal length.

        No row is padded, so what a row is answered does not depend on its neighbours.
        """
        turns = [self._turn(conversation) for conversation in conversations]
        for rows in rows_alike([_kind(turn) for turn in turns]):
            yield Batch(rows, _together([turns[row] for row in rows]).to(self.model.device))

    def _turn(self, conversation: Sequence[Message]) -> BatchFeature:
        turn: Any = self.processor.apply_chat_template(
            list(conversation),
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        return turn


def said(role: str, text: str, images: Sequence[Image] = ()) -> Message:
    """Spell one message of a conversation: its pictures first, then its text."""
    shown = [{"type": "image", "image": image} for image in images]
    return {"role": role, "content": [*shown, {"type": "text", "text": text}]}


def load_vision_language(model: str | Path, placement: Placement = CPU) -> VisionLanguage:
    """Load a Qwen3-VL as it is, to talk with. Raises FileNotFoundError where the directory is missing or incomplete."""
    network = load_network(Qwen3VLForConditionalGeneration, model, dtype=placement.dtype).to(placement.device).eval()
    processor = load(ImageOnlyProcessor, model)
    # A full-size processor would take pictures of any size; the tiny one keeps its own, much smaller, range.
    size = processor.image_processor.size
    if size.longest_edge > _MOST_PIXELS:
        processor.image_processor.size = {"shortest_edge": _FEWEST_PIXELS, "longest_edge": _MOST_PIXELS}
    return VisionLanguage(network, processor)


def teacher_vlm(text_encoder: nn.Module, model: str | Path, placement: Placement = CPU) -> VisionLanguage:
    """Load a Qwen3-VL whose language model is `text_encoder` itself: the same tensors, held once.

    With its own language weights the VLM speaks a language that the denoiser was not trained on, and pictures come
    out over-sharpened (arXiv:2605.05204, appendix D). Raises ValueError where the two language models differ.
    """
    seeing = load_vision_language(model, placement)
    try:
        seeing.model.model.language_model.load_state_dict(text_encoder.state_dict(), strict=True, assign=True)
    except RuntimeError as error:
        raise ValueError(
            f"the language model of {model} has another architecture than the base's text encoder: {error}\n"
            "Choose the Qwen3-VL of the same size as the base's Qwen3 (Z-Image: Qwen/Qwen3-VL-4B-Instruct)."
        ) from error
    return seeing


def _kind(turn: BatchFeature) -> tuple[int, bool]:
    return turn["input_ids"].shape[1], "pixel_values" in turn


def _together(turns: Sequence[BatchFeature]) -> BatchFeature:
    return BatchFeature({key: cat([turn[key] for turn in turns]) for key in turns[0]})
