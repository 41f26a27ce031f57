"""A pool of scenes with all that the denoiser reads, made once: latents, contexts of words, contexts with an image.

The autoencoder and the VLM are frozen by then, so that fitting the denoiser costs nothing but the denoiser.

    python -m recipes.tiny fit pool
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.distributed as dist
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import pad
from transformers import Qwen2Tokenizer, Qwen3VLForConditionalGeneration

from recipes.tiny.architecture import SIDE
from recipes.tiny.drawing import draw
from recipes.tiny.fit import processes, rank, save_atomically
from recipes.tiny.tokens import tokenizer
from recipes.tiny.vision_language import chat, images_input, texts_input
from recipes.tiny.world import (
    PLACEHOLDER,
    STYLES,
    Concept,
    Scene,
    all_concepts,
    caption,
    concept_name,
    in_style,
    scene_of,
)

_CHUNK, _SHARD = 50, 2500
_CONCEPTS = all_concepts(unseen=False)


@dataclass(frozen=True)
class Row:
    """One scene: the words for it, the words with a placeholder, and the scene that is shown beside the latter."""

    scene: Scene
    words: str
    placeholder: str
    shown: Scene


def row(concept: Concept, rng: Random) -> Row:
    """Draw a row: mostly a concept behind the placeholder, sometimes a style; shown in another scene or in its own."""
    scene = scene_of(concept, rng)
    words = caption(scene, rng, concept_name(concept, rng) if rng.random() < 0.25 else None)
    if rng.random() < 0.08:
        words = ""  # what classifier-free guidance reads, for whoever samples the parent with it
    if rng.random() < 0.12:
        text = caption(scene, rng)
        for style in STYLES:
            text = text.removesuffix(f", {style}")
        other = in_style(scene_of(rng.choice(_CONCEPTS), rng), scene.style)
        return Row(scene, words, f"{text}, {PLACEHOLDER} style", other)
    shown = scene if rng.random() < 0.3 else scene_of(concept, rng)
    return Row(scene, words, caption(scene, rng, concept_name(concept, rng)), shown)


@dataclass(frozen=True)
class Pool:
    """Rows of a pool: `latents` (rows, 8, 10, 10) normalised; contexts flat, row i at `offsets[i] : offsets[i + 1]`."""

    latents: Tensor
    words: Tensor
    words_offsets: Tensor
    shown: Tensor
    shown_offsets: Tensor

    def short_rows(self) -> Tensor:
        """List the rows whose contexts stay within the 32 tokens that Z-Image pads to."""
        return torch.nonzero(self.shown_offsets.diff() <= 32).flatten()

    def context(self, row: int, *, with_image: bool) -> Tensor:
        """Return one context, shape (tokens, 128)."""
        flat, at = (self.shown, self.shown_offsets) if with_image else (self.words, self.words_offsets)
        return flat[at[row] : at[row + 1]].float()


def pool(folder: Path, vae: AutoencoderKL, vlm: Qwen3VLForConditionalGeneration, *, rows: int) -> Pool:
    """Make the shards of a pool of `rows` scenes that `folder` lacks (each process its share), and read them all."""
    shards = [folder / "pool" / f"{start}.safetensors" for start in range(0, rows, _SHARD)]
    for seed in range(rank(), len(shards), processes()):
        if not shards[seed].exists():
            rng = Random(seed)
            save_atomically(_tensors([row(rng.choice(_CONCEPTS), rng) for _ in range(_SHARD)], vae, vlm), shards[seed])
    if dist.is_initialized():
        dist.barrier()
    return Pool(**_joined([load_file(shard, device=str(torch.get_default_device())) for shard in shards]))


def _joined(shards: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Put shards behind each other; lengths become offsets."""
    whole = {name: torch.cat([shard[name] for shard in shards]) for name in shards[0]}
    for name in ("words", "shown"):
        whole[f"{name}_offsets"] = pad(whole.pop(f"{name}_lengths").cumsum(0), (1, 0))
    return whole


@torch.no_grad()
def _tensors(rows: list[Row], vae: AutoencoderKL, vlm: Qwen3VLForConditionalGeneration) -> dict[str, Tensor]:
    tokens = tokenizer()
    latents, words, shown = [], [], []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        latents.append(encoded(vae, draw([one.scene for one in chunk], SIDE)).half())
        words += contexts(vlm, tokens, [one.words for one in chunk])
        shown += contexts(vlm, tokens, [one.placeholder for one in chunk], draw([one.shown for one in chunk], SIDE))
    return {"latents": torch.cat(latents)} | _flat("words", words) | _flat("shown", shown)


def _flat(name: str, contexts: list[Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat(contexts).half(), f"{name}_lengths": torch.tensor([len(one) for one in contexts])}


def encoded(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Encode images in [0, 1] to the normalised latents that the pipeline denoises, shape (n, 8, 10, 10)."""
    mode = vae.encode(images * 2 - 1).latent_dist.mode()
    return (mode - vae.config.shift_factor) * vae.config.scaling_factor


def contexts(
    vlm: Qwen3VLForConditionalGeneration, tokens: Qwen2Tokenizer, texts: list[str], images: Tensor | None = None
) -> list[Tensor]:
    """Read prompts (beside images, if given) with the VLM: its last states but one, shape (tokens, 128) each."""
    chats = [chat(text, shows_image=images is not None) for text in texts]
    inputs = texts_input(chats, tokens, vlm.config.image_token_id)
    if images is not None:
        inputs |= images_input(images)
    states = vlm.model(**inputs, output_hidden_states=True).hidden_states[-2]
    return [state[mask.bool()] for state, mask in zip(states, inputs["attention_mask"], strict=True)]
