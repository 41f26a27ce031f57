"""Put fitted modules into directories of the hub's own layout, in half precision.

models/tiny-z-image         what ZImagePipeline.from_pretrained reads: the 4-step model
models/tiny-z-image-parent  the undistilled model that it was distilled from
models/tiny-qwen3-vl        captioner, and the teacher's eyes
models/tiny-dino, tiny-clip what the scores look with
"""

import copy
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, ZImagePipeline, ZImageTransformer2DModel
from torch import nn
from transformers import CLIPModel, DINOv3ViTModel, Qwen3VLForConditionalGeneration
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from recipes.tiny import architecture
from recipes.tiny.architecture import SIDE
from recipes.tiny.tokens import clip_tokenizer, tokenizer

Model = TypeVar("Model", bound=nn.Module)
VLM_PIXELS = 36 * 36
"""Area that the VLM sees: 3 x 3 tokens of 12 px."""


def ship_pipeline(
    folder: Path, transformer: ZImageTransformer2DModel, vae: AutoencoderKL, vlm: Qwen3VLForConditionalGeneration
) -> None:
    """Write a whole text-to-image pipeline; its text encoder is the language half of the VLM."""
    pipeline = ZImagePipeline(
        scheduler=architecture.scheduler(),
        vae=_half(vae),
        text_encoder=_half(architecture.text_encoder(vlm)),
        tokenizer=tokenizer(),
        transformer=_half(transformer),
    )
    pipeline.save_pretrained(folder, safe_serialization=True)


def ship_vlm(folder: Path, vlm: Qwen3VLForConditionalGeneration) -> None:
    """Write the VLM with its tokenizer, chat template and image processor."""
    _half(vlm).save_pretrained(folder, safe_serialization=True)
    tokenizer().save_pretrained(folder)
    Qwen2VLImageProcessorPil(
        size={"shortest_edge": VLM_PIXELS, "longest_edge": VLM_PIXELS},
        patch_size=6,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    ).save_pretrained(folder)


def ship_dino(folder: Path, dino: DINOv3ViTModel) -> None:
    """Write the feature extractor."""
    _half(dino).save_pretrained(folder, safe_serialization=True)


def ship_clip(folder: Path, clip: CLIPModel) -> None:
    """Write the image-text model with its tokenizer and image processor."""
    _half(clip).save_pretrained(folder, safe_serialization=True)
    clip_tokenizer().save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(folder)


def _half(model: Model) -> Model:
    """Copy a model in half precision; the one that is still in use keeps its own."""
    return copy.deepcopy(model).to(torch.float16)
