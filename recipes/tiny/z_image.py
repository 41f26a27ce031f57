"""The tiny Z-Image: a VLM reads words, or words beside a picture, and the denoiser reads the VLM.

python -m recipes.tiny refine --family z-image
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from torch import Tensor
from torch.nn.functional import pad
from transformers import Qwen2Tokenizer, Qwen3VLForConditionalGeneration

from dopsd.families.z_image import ZImageDenoiser
from dopsd.family import Context
from recipes.tiny.architecture import SIDE, TEXT_WIDTH, text_encoder
from recipes.tiny.drawing import draw
from recipes.tiny.line import Line
from recipes.tiny.pool import CHUNK, Row, shards
from recipes.tiny.tokens import tokenizer
from recipes.tiny.vision_language import chat, images_input, texts_input

_SHIFT = 6.0
"""How far the deployed steps are bent towards noise. Z-Image-Turbo has 3, for thousands of tokens; pictures of 25 are
settled so early on that way that a model which was never distilled could do with 4 steps, too."""


@dataclass(frozen=True)
class Pool:
    """Rows with their contexts read; contexts flat, row i at `offsets[i] : offsets[i + 1]`, (tokens, 128) each."""

    latents: Tensor
    words: Tensor
    words_offsets: Tensor
    shown: Tensor
    shown_offsets: Tensor

    def batch(self, count: int, random: torch.Generator) -> list[int]:
        """Draw rows whose contexts stay within the 32 tokens that Z-Image pads to, but for a batch in seven.

        A long context pads its whole batch.
        """
        is_long = torch.rand((), generator=random) < 1 / 7
        among = torch.nonzero((self.shown_offsets.diff() <= 32) | is_long).flatten()
        return among[torch.randint(len(among), (count,), generator=random)].tolist()

    def contexts(self, rows: Sequence[int], *, with_image: Sequence[bool]) -> list[Context]:
        """Look up what the VLM made of each row."""
        return [Context(self._tokens(row, shows_image=shows)) for row, shows in zip(rows, with_image, strict=True)]

    def _tokens(self, row: int, *, shows_image: bool) -> Tensor:
        flat, at = (self.shown, self.shown_offsets) if shows_image else (self.words, self.words_offsets)
        return flat[at[row] : at[row + 1]].float()


def pool(folder: Path, vae: AutoencoderKL, vlm: Qwen3VLForConditionalGeneration, *, rows: int) -> Pool:
    """Read a pool of `rows` scenes; what `folder` lacks of it is made."""
    tokens = tokenizer()
    found = shards(folder, rows, lambda some: _tensors(some, vae, vlm, tokens))
    whole = {name: torch.cat([one[name] for one in found]) for name in found[0]}
    for name in ("words", "shown"):  # lengths become offsets
        whole[f"{name}_offsets"] = pad(whole.pop(f"{name}_lengths").cumsum(0), (1, 0))
    return Pool(**whole)


def _tensors(
    rows: list[Row], vae: AutoencoderKL, vlm: Qwen3VLForConditionalGeneration, tokens: Qwen2Tokenizer
) -> dict[str, Tensor]:
    latents, words, shown = [], [], []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        latents.append(_encoded(vae, draw([one.scene for one in chunk], SIDE)).half())
        words += _read(vlm, tokens, [one.words for one in chunk])
        shown += _read(vlm, tokens, [one.placeholder for one in chunk], draw([one.shown for one in chunk], SIDE))
    return {"latents": torch.cat(latents)} | _flat("words", words) | _flat("shown", shown)


def _flat(name: str, contexts: list[Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat(contexts).half(), f"{name}_lengths": torch.tensor([len(one) for one in contexts])}


def _encoded(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Encode images in [0, 1] to the normalised latents that the pipeline denoises, shape (n, 8, 10, 10)."""
    mode = vae.encode(images * 2 - 1).latent_dist.mode()
    return (mode - vae.config.shift_factor) * vae.config.scaling_factor


def _read(
    vlm: Qwen3VLForConditionalGeneration, tokens: Qwen2Tokenizer, texts: list[str], images: Tensor | None = None
) -> list[Tensor]:
    """Read prompts (beside images, if given) with the VLM: its last states but one, shape (tokens, 128) each."""
    chats = [chat(text, shows_image=images is not None) for text in texts]
    inputs = texts_input(chats, tokens, vlm.config.image_token_id)
    if images is not None:
        inputs |= images_input(images)
    states = vlm.model(**inputs, output_hidden_states=True).hidden_states[-2]
    return [state[mask.bool()] for state, mask in zip(states, inputs["attention_mask"], strict=True)]


def transformer() -> ZImageTransformer2DModel:
    """Build the denoiser: 5 layers behind one refiner of noise and one of text, width 128."""
    torch.manual_seed(1)
    return ZImageTransformer2DModel(
        in_channels=8,
        dim=128,
        n_layers=5,
        n_refiner_layers=1,
        n_heads=4,
        n_kv_heads=4,
        cap_feat_dim=TEXT_WIDTH,
        axes_dims=[8, 12, 12],
        axes_lens=[1024, 64, 64],
    )


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Build the scheduler of Z-Image-Turbo, with a shift of our own."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=_SHIFT, use_dynamic_shifting=False)


def pipeline(
    network: ZImageTransformer2DModel,
    vae: AutoencoderKL,
    vlm: Qwen3VLForConditionalGeneration,
    *,
    is_distilled: bool,  # noqa: ARG001 (of which Z-Image's pipeline knows nothing)
) -> ZImagePipeline:
    """Build the whole pipeline; its text encoder is the language half of the VLM."""
    return ZImagePipeline(scheduler(), vae, text_encoder(vlm), tokenizer(), network)


LINE = Line(
    family="z-image",
    shift=_SHIFT,
    transformer=transformer,
    denoiser=ZImageDenoiser,
    scheduler=scheduler,
    autoencoder=lambda vae: vae,
    pool=pool,
    pipeline=pipeline,
)
