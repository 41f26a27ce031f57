"""The architectures that the tiny families share: the classes of the full-size models, with small numbers."""

from typing import Any

import torch
from diffusers import AutoencoderKL
from transformers import (
    CLIPConfig,
    CLIPModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

SIDE = 40
"""Side of the world's images in pixels: latents of 10 x 10, 25 image tokens, just under the 32 that Z-Image pads to."""

TEXT_WIDTH = 128
AUTOENCODER: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (16, 32, 64),
    "layers_per_block": 1,
    "latent_channels": 8,
    "norm_num_groups": 8,
    "sample_size": SIDE,
    "mid_block_add_attention": False,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
"""Factor 4, 8 latent channels, no attention in the middle; every family has it, in a class of its own."""

_TEXT = {
    "hidden_size": TEXT_WIDTH,
    "intermediate_size": 320,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-6,
}
_ROPE_THETA = 10_000.0


def autoencoder() -> AutoencoderKL:
    """Build the VAE."""
    torch.manual_seed(0)
    return AutoencoderKL(**AUTOENCODER, force_upcast=False, scaling_factor=1.0, shift_factor=0.0)


def vision_language_model(tokenizer: Qwen2Tokenizer) -> Qwen3VLForConditionalGeneration:
    """Build the VLM: images of 36 px become 3 x 3 tokens, so that text and image together stay within 32 tokens."""
    torch.manual_seed(2)
    token = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            **_TEXT,
            "vocab_size": 512,
            "pad_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": _ROPE_THETA,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 3,
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_heads": 3,
            "patch_size": 6,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": _TEXT["hidden_size"],
            "num_position_embeddings": 36,
            "deepstack_visual_indexes": [1],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return Qwen3VLForConditionalGeneration(config)


def text_encoder(vlm: Qwen3VLForConditionalGeneration) -> Qwen3Model:
    """Take the language model out of the VLM as the pipeline's own Qwen3."""
    text = vlm.config.text_config
    config = Qwen3Config(
        **_TEXT,
        vocab_size=text.vocab_size,
        pad_token_id=text.pad_token_id,
        eos_token_id=text.eos_token_id,
        rope_parameters={"rope_type": "default", "rope_theta": _ROPE_THETA},
        use_sliding_window=False,
    )
    model = Qwen3Model(config)
    model.load_state_dict(vlm.model.language_model.state_dict(), strict=True)
    return model


def dino() -> DINOv3ViTModel:
    """Build the feature extractor: 25 patches of 8 px and 2 registers."""
    torch.manual_seed(3)
    return DINOv3ViTModel(
        DINOv3ViTConfig(
            image_size=SIDE,
            patch_size=8,
            hidden_size=96,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=3,
            num_register_tokens=2,
        )
    )


def clip(vocabulary: int, specials: dict[str, int]) -> CLIPModel:
    """Build the image-text model over `vocabulary` tokens, pooled at the token `specials["eos_token_id"]`."""
    torch.manual_seed(4)
    tower = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 3}
    return CLIPModel(
        CLIPConfig(
            text_config={**tower, "vocab_size": vocabulary, "max_position_embeddings": 48, **specials},
            vision_config={**tower, "image_size": SIDE, "patch_size": 8},
            projection_dim=64,
        )
    )
