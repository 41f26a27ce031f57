"""Put fitted modules into directories of the hub's own layout, in half precision.

    models/tiny-z-image         what ZImagePipeline.from_pretrained reads: the 4-step model
    models/tiny-z-image-parent  the undistilled model that it was distilled from
    models/tiny-qwen3-vl        captioner, and the teacher's eyes
    models/tiny-dino, tiny-clip what the scores look with
"""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, ZImagePipeline, ZImageTransformer2DModel
from torch import nn
from transformers import CLIPModel, DINOv3ViTModel, Qwen3VLForConditionalGeneration
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from recipes.tiny import architecture
from recipes.tiny.architecture import SIDE
from recipes.tiny.tokens import clip_tokenizer, tokenizer

VLM_PIXELS = 36 * 36
"""Area that the VLM sees: 3 x 3 tokens of 12 px."""


def ship_pipeline(
    folder: Path, transformer: ZImageTransformer2DModel, vae: AutoencoderKL, vlm: Qwen3VLForConditionalGeneration
) -> None:
    """Write a whole text-to-image pipeline; its text encoder is the language half of the VLM."""
    pipeline = ZImagePipeline(
        scheduler=architecture.scheduler(),
        vae=vae,
        text_encoder=architecture.text_encoder(vlm),
        tokenizer=tokenizer(),
        transformer=transformer,
    )
    pipeline.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    _as_trained(transformer, vae)


def ship_vlm(folder: Path, vlm: Qwen3VLForConditionalGeneration) -> None:
    """Write the VLM with its tokenizer, chat template and image processor."""
    _half(vlm, folder)
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
    _half(dino, folder)


def ship_clip(folder: Path, clip: CLIPModel) -> None:
    """Write the image-text model with its tokenizer and image processor."""
    _half(clip, folder)
    clip_tokenizer().save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(folder)


def _half(model: nn.Module, folder: Path) -> None:
    model.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    model.to(torch.float32)


def _as_trained(*modules: nn.Module) -> None:
    for module in modules:
        module.to(torch.float32)
