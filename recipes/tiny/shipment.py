"""Put fitted modules into directories of the hub's own layout, in half precision.

models/tiny-z-image, tiny-flux2-klein  what `from_pretrained` of their pipelines reads: the 4-step models
models/tiny-...-parent                 the undistilled model that each was distilled from
models/tiny-...-dedistillation         the adapter that undoes that, for train.method sft-adapter
models/tiny-qwen3-vl                   captioner, and the teacher's eyes
models/tiny-dino, tiny-clip            what the scores look with
"""

import copy
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import ConfigMixin
from torch import nn
from transformers import CLIPModel, DINOv3ViTModel, Qwen3VLForConditionalGeneration
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from dopsd.families.catalogue import family
from dopsd.family import Network
from dopsd.weights.adapter import save_adapter
from recipes.tiny.architecture import SIDE
from recipes.tiny.line import Line
from recipes.tiny.sight import image_processor
from recipes.tiny.tokens import clip_tokenizer, tokenizer

Model = TypeVar("Model", bound=nn.Module)


def ship_pipeline(
    folder: Path, line: Line, network: Network, vae: Any, vlm: Qwen3VLForConditionalGeneration, *, is_distilled: bool
) -> None:
    """Write a whole text-to-image pipeline."""
    pipeline = line.pipeline(_half(network), _half(vae), vlm, is_distilled=is_distilled)
    pipeline.text_encoder.half()  # its own copy of the VLM's language half
    pipeline.save_pretrained(folder, safe_serialization=True)


def ship_adapter(folder: Path, line: Line, network: Network) -> None:
    """Write the adapter that `network` wears, as diffusers reads it."""
    save_adapter(network, folder, family(line.family).pipeline)


def ship_vlm(folder: Path, vlm: Qwen3VLForConditionalGeneration) -> None:
    """Write the VLM with its tokenizer, chat template and image processor."""
    _half(vlm).save_pretrained(folder, safe_serialization=True)
    tokenizer().save_pretrained(folder)
    image_processor().save_pretrained(folder)


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
    """Copy a model in half precision; the one that is still in use keeps its own, and where it was read from."""
    copied = copy.deepcopy(model).to(torch.float16)
    if isinstance(copied, ConfigMixin):
        copied.register_to_config(_name_or_path="")
    return copied
