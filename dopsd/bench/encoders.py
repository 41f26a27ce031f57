"""Encoder sides that are measured: text encoder, VLM and VAE of the published shapes and tiny ones, random weights.

>>> encoder = encoder_side("z-image", "tiny", CPU)
>>> encoder.latents([picture]).shape

The tokenizer has a token a byte, as no vocabulary is fetched: a caption is as long as its letters are many.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, Flux2KleinPipeline, ZImagePipeline
from tokenizers import pre_tokenizers
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    Qwen3Config,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from dopsd.bench.models import SizeName, born
from dopsd.families.flux2_klein_encoder import Flux2KleinEncoder
from dopsd.families.flux2_klein_reading import Reading
from dopsd.families.z_image_encoder import ZImageEncoder
from dopsd.family import Decoder, Encoder
from dopsd.placement import Placement
from dopsd.vision_language import ImageOnlyProcessor, VisionLanguage

_ABSENT: Any = None  # scheduler and transformer: an encoder side has neither
_SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
]  # fmt: skip
_TEMPLATE = (
    "{%- for message in messages -%}<|im_start|>{{ message.role }} {% if message.content is string -%}"
    "{{ message.content }}{%- else -%}{%- for part in message.content -%}{%- if part.type == 'image' -%}"
    "<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "<|im_end|>{%- endfor -%}"
)


@dataclass(frozen=True)
class _Shapes:
    """The configurations of one encoder side; `sight` is that of the VLM's eyes, empty where the teacher has none."""

    text: Mapping[str, Any]
    vae: Mapping[str, Any]
    sight: Mapping[str, Any]


def encoder_side(model: str, size: SizeName, placement: Placement) -> Encoder:
    """Build what reads captions and pictures for a model line, where and how `placement` says."""
    shapes, tokenizer = _SHAPES[model][size], _tokenizer()
    torch.manual_seed(0)
    with born(placement):
        vae, text = _vae(shapes), Qwen3Model(Qwen3Config(**shapes.text, rope_parameters=_ROPE)).eval()
        if not shapes.sight:
            pipeline = Flux2KleinPipeline(_ABSENT, vae, text, tokenizer, _ABSENT)
            return Flux2KleinEncoder(pipeline, Reading(text, tokenizer, None), "reference")
        seeing = _seeing(shapes, tokenizer)
    seeing.model.model.language_model.load_state_dict(text.state_dict(), strict=True, assign=True)
    return ZImageEncoder(ZImagePipeline(_ABSENT, vae, text, tokenizer, _ABSENT), seeing)


def decoder(model: str, size: SizeName, placement: Placement) -> Decoder:
    """Build what turns latents into pictures, and reads nothing."""
    shapes = _SHAPES[model][size]
    with born(placement):
        vae = _vae(shapes)
    if shapes.sight:
        return ZImageEncoder(ZImagePipeline(_ABSENT, vae, _ABSENT, _ABSENT, _ABSENT), _ABSENT)
    return Flux2KleinEncoder(Flux2KleinPipeline(_ABSENT, vae, _ABSENT, _ABSENT, _ABSENT), _ABSENT, "reference")


def _vae(shapes: _Shapes) -> Any:
    return (AutoencoderKL if shapes.sight else AutoencoderKLFlux2)(**shapes.vae).eval()


def _seeing(shapes: _Shapes, tokenizer: Qwen2Tokenizer) -> VisionLanguage:
    """Build a VLM whose language model has the shape of the text encoder."""
    token = tokenizer.convert_tokens_to_ids
    head = shapes.text["head_dim"] // 2
    sections = [head - 2 * (head // 3), head // 3, head // 3]
    config = Qwen3VLConfig(
        text_config={**shapes.text, "rope_parameters": {**_ROPE, "mrope_section": sections, "mrope_interleaved": True}},
        vision_config={**shapes.sight, "out_hidden_size": shapes.text["hidden_size"]},
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    patch = shapes.sight["patch_size"]  # 256 to 576 tokens are shown at full size, and four to the tiny one
    fewest, most = (512**2, 768**2) if patch == 16 else (16 * patch**2, 16 * patch**2)
    size = {"shortest_edge": fewest, "longest_edge": most}
    eyes = Qwen2VLImageProcessorPil(patch_size=patch, merge_size=2, size=size)
    network = Qwen3VLForConditionalGeneration(config).eval()
    return VisionLanguage(network, ImageOnlyProcessor(eyes, tokenizer, chat_template=_TEMPLATE))


def _tokenizer() -> Qwen2Tokenizer:
    """Build Qwen's tokenizer without merges: a token a byte, and the special tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate([*_SPECIAL, *letters])}
    made = Qwen2Tokenizer(vocab=vocabulary, merges=[], additional_special_tokens=_SPECIAL[1:])
    made.chat_template = _TEMPLATE
    return made


def _qwen3(width: int, inner: int) -> Mapping[str, Any]:
    """Shape a language model as Qwen3-4B and -8B are; they differ in width alone."""
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
    return {**heads, "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": 36, "vocab_size": 151_936}


_ROPE = {"rope_type": "default", "rope_theta": 1e6}
_TINY_TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 263,
}  # fmt: skip
_TINY_SIGHT = {
    "depth": 2, "hidden_size": 24, "intermediate_size": 32, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2,
    "temporal_patch_size": 2, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
}  # fmt: skip
# Qwen3-VL-4B's eyes.
_SIGHT = {
    "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "patch_size": 16,
    "spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [5, 11, 17],
}  # fmt: skip
_PYRAMID = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
_VAE = {**_PYRAMID, "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2}
_TINY_VAE = {**_PYRAMID, "block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4}
_Z_IMAGE_VAE = {"scaling_factor": 0.3611, "shift_factor": 0.1159, "use_quant_conv": False, "use_post_quant_conv": False}


def _klein(width: int, inner: int) -> Mapping[SizeName, _Shapes]:
    """Shape the encoder side of FLUX.2-klein: its teacher is shown the picture as latents, so there is no VLM."""
    tiny = _Shapes(_TINY_TEXT, {**_TINY_VAE, "latent_channels": 8}, {})
    return {"full": _Shapes(_qwen3(width, inner), {**_VAE, "latent_channels": 32}, {}), "tiny": tiny}


_SHAPES: Mapping[str, Mapping[SizeName, _Shapes]] = {
    "z-image": {
        "full": _Shapes(_qwen3(2560, 9728), {**_VAE, **_Z_IMAGE_VAE, "latent_channels": 16}, _SIGHT),
        "tiny": _Shapes(_TINY_TEXT, {**_TINY_VAE, **_Z_IMAGE_VAE, "latent_channels": 8}, _TINY_SIGHT),
    },
    "flux2-klein-4b": _klein(2560, 9728),
    "flux2-klein-9b": _klein(4096, 12_288),
}
