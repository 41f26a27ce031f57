"""The tiny VLM with what prepares its pictures, as the product loads it."""

from transformers import Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from dopsd.vision_language import ImageOnlyProcessor, VisionLanguage
from recipes.tiny.tokens import tokenizer

_PIXELS = 36 * 36
"""Area that the VLM sees: 3 x 3 tokens of 12 px."""


def image_processor() -> Qwen2VLImageProcessorPil:
    """Build the processor that cuts pictures into patches of 6 px."""
    return Qwen2VLImageProcessorPil(
        size={"shortest_edge": _PIXELS, "longest_edge": _PIXELS},
        patch_size=6,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )


def seeing(vlm: Qwen3VLForConditionalGeneration) -> VisionLanguage:
    """Put a fitted VLM and its processor together."""
    return VisionLanguage(vlm, ImageOnlyProcessor(image_processor(), tokenizer()))
