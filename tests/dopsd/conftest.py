"""Small random models of the real classes, in the hub's layout, and examples to train on; made once a session."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from PIL import Image
from tokenizers import pre_tokenizers
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTokenizer,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from dopsd.dataset.examples import Example, Examples
from dopsd.families.catalogue import family
from dopsd.family import Context, Denoiser
from dopsd.run import Run

SPECIALS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
TEMPLATE = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ '<|im_end|>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
LATENT = (4, 6, 6)
SIDE = 24
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 1200, "vocab_size": 264,
}  # fmt: skip


@dataclass(frozen=True)
class Models:
    """Directories of the small models; `base` is Z-Image."""

    base: Path
    klein: Path
    vision_language: Path
    dino: Path
    clip: Path


@pytest.fixture(autouse=True)
def one_thread_and_a_fresh_accelerator() -> None:
    """Keep results and timings independent of the machine's cores, and of the precision another test asked for."""
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Build and save every model that the product loads."""
    root = tmp_path_factory.mktemp("models")
    names = ("z-image", "flux2-klein", "qwen3-vl", "dino", "clip")
    made = Models(*(root / f"small-{name}" for name in names))
    torch.manual_seed(0)
    pipeline().save_pretrained(made.base)
    seeing().save_pretrained(made.vision_language)
    processor = Qwen2VLImageProcessorPil(
        patch_size=4, merge_size=2, size={"shortest_edge": 16**2, "longest_edge": 16**2}
    )
    processor.save_pretrained(made.vision_language)
    tokenizer().save_pretrained(made.vision_language)
    vit = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    DINOv3ViTModel(DINOv3ViTConfig(**vit, patch_size=8, num_register_tokens=2)).save_pretrained(made.dino)
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, **{f"{byte}</w>": 2 + n for n, byte in enumerate(alphabet())}}
    text = {"vocab_size": 600, "max_position_embeddings": 24, "bos_token_id": 0, "eos_token_id": 1}
    CLIPModel(
        CLIPConfig(text_config=vit | text, vision_config={**vit, "image_size": SIDE, "patch_size": 8}, projection_dim=8)
    ).save_pretrained(made.clip)
    words |= {byte: len(words) + n for n, byte in enumerate(alphabet())}
    CLIPTokenizer(vocab=words, merges=[]).save_pretrained(made.clip)
    squash = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size=squash, do_center_crop=False).save_pretrained(made.clip)
    klein().save_pretrained(made.klein)
    return made


@pytest.fixture
def denoiser(models: Models) -> Denoiser:
    """Load a denoiser that a test may change."""
    return family("z-image").load_denoiser(models.base)


@pytest.fixture
def examples() -> Examples:
    """Make five examples whose contexts differ in length, as teacher and student contexts do."""
    rng = torch.Generator().manual_seed(1)
    rows = tuple(
        Example(
            f"e{n}",
            Context(torch.randn(5 + n, 32, generator=rng)),
            Context(torch.randn(9 + n, 32, generator=rng)),
            torch.randn(LATENT, generator=rng),
        )
        for n in range(5)
    )
    return Examples(rows, "digest-of-five")


@pytest.fixture
def of_two_sizes(examples: Examples) -> Examples:
    """Make two of the five examples wide: fewer than fill a batch of four."""
    rng = torch.Generator().manual_seed(2)
    wide = (replace(row, latents=torch.randn(4, 4, 8, generator=rng)) for row in examples.rows[:2])
    return Examples((*wide, *examples.rows[2:]), "digest-of-two-sizes")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Give a training run an empty state folder."""
    return Run(family("z-image"), "small-z-image@0", tmp_path / "state")


@pytest.fixture
def picture() -> Callable[[int], Image.Image]:
    """Draw random pictures by number."""

    def drawn(number: int) -> Image.Image:
        """Draw smooth noise: a few random blocks, enlarged."""
        blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        return Image.fromarray(blocks).resize((SIDE, SIDE), Image.Resampling.BICUBIC)

    return drawn


_SMALL_VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (8, 8, 8), "layers_per_block": 1, "latent_channels": LATENT[0], "norm_num_groups": 4,
    "mid_block_add_attention": False,
}  # fmt: skip


def _reader() -> Qwen3Config:
    return Qwen3Config(**TEXT, rope_parameters={"rope_type": "default", "rope_theta": 1e4}, use_sliding_window=False)


def pipeline() -> ZImagePipeline:
    """Build a whole random Z-Image."""
    text_encoder = Qwen3Model(_reader())
    vae = AutoencoderKL(**_SMALL_VAE, scaling_factor=0.9, shift_factor=0.1)
    transformer = ZImageTransformer2DModel(
        in_channels=LATENT[0], dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2,
        cap_feat_dim=TEXT["hidden_size"], axes_dims=[4, 6, 6], axes_lens=[1200, 32, 32],
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=3.0)
    return ZImagePipeline(scheduler, vae, text_encoder, tokenizer(), transformer)


def klein() -> Flux2KleinPipeline:
    """Build a whole random FLUX.2-klein; it reads its Qwen3 after layers 0, 1 and 2."""
    text_encoder = Qwen3ForCausalLM(_reader())
    vae = AutoencoderKLFlux2(**_SMALL_VAE)
    vae.bn.running_mean.normal_(0, 0.1)
    vae.bn.running_var.uniform_(0.5, 1.5)
    transformer = Flux2Transformer2DModel(
        in_channels=4 * LATENT[0], num_layers=1, num_single_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=3 * TEXT["hidden_size"], timestep_guidance_channels=32, axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=3.0, use_dynamic_shifting=True)
    return Flux2KleinPipeline(scheduler, vae, text_encoder, tokenizer(), transformer, is_distilled=True)


def seeing() -> Qwen3VLForConditionalGeneration:
    """Build a random Qwen3-VL whose language model has the shape of the text encoder."""
    token = tokenizer().convert_tokens_to_ids
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    vision = {
        "depth": 2, "hidden_size": 24, "intermediate_size": 32, "num_heads": 2, "patch_size": 4,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32, "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }  # fmt: skip
    ids = {
        "image_token_id": token("<|image_pad|>"),
        "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
    }
    text = {**TEXT, "rope_parameters": rope, "pad_token_id": 0, "eos_token_id": token("<|im_end|>")}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **ids))


def tokenizer() -> Qwen2Tokenizer:
    """Build Qwen's tokenizer without merges: a token a byte, and the special tokens."""
    vocabulary = {word: number for number, word in enumerate([*SPECIALS, *alphabet()])}
    made = Qwen2Tokenizer(vocab=vocabulary, merges=[], additional_special_tokens=SPECIALS[1:])
    made.chat_template = TEMPLATE
    return made


def alphabet() -> list[str]:
    """List the 256 signs that byte-level tokenizers write bytes with."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())
