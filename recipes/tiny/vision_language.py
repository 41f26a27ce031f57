"""Fit the tiny Qwen3-VL: first its eyes, on naming attributes; then all of it, on four kinds of talk about the world.

It comes out as a captioner, and with states that know what it sees.

1. image + "Describe ..."                 -> everything that has a word
2. image + "Describe ... call it [V]"     -> the same, the subject behind the placeholder
3. image + "a [V] on a blue background"   -> the prompt in plain words: what a shown concept or style is, in a new scene
4. "a red star on a blue background"      -> the prompt again: text-only states that keep their words

Talk 3 is what the teacher of D-OPSD hears; its answer is never used, but its states are what the denoiser reads.

    python -m recipes.tiny fit vision-language
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate
from transformers import Qwen2Tokenizer, Qwen3VLForConditionalGeneration

from recipes.tiny.architecture import SIDE, vision_language_model
from recipes.tiny.drawing import draw
from recipes.tiny.fit import Budget, fit
from recipes.tiny.naming import Naming
from recipes.tiny.tokens import CALL_IT, DESCRIBE, tokenizer
from recipes.tiny.world import (
    PLACEHOLDER,
    STYLES,
    Concept,
    Scene,
    all_concepts,
    caption,
    concept_name,
    full_caption,
    in_style,
    resolved,
    scene_of,
)

_PATCH, _MERGE, _GRID = 6, 2, 6
IMAGE_TOKENS = (_GRID // _MERGE) ** 2
_NOBODY = -100


@dataclass(frozen=True)
class Talk:
    """One exchange: what is shown (or nothing), what is asked, what is answered."""

    shown: Scene | None
    asked: str
    answered: str


def talk(concept: Concept, rng: Random) -> Talk:
    """Draw one exchange about `concept` at random."""
    seen, wanted = scene_of(concept, rng, loose=True), scene_of(concept, rng, loose=True)
    kind = rng.random()
    if kind < 0.35:
        return Talk(seen, DESCRIBE, full_caption(seen))
    if kind < 0.5:
        return Talk(seen, CALL_IT, full_caption(seen).replace(concept.words(), PLACEHOLDER))
    if kind < 0.8:
        text = caption(wanted, rng, concept_name(concept, rng))
        return Talk(seen, text, resolved(text, concept))
    if kind < 0.9:
        text = _without_style(caption(wanted, rng))
        other = in_style(scene_of(rng.choice(_TRAINED), rng, loose=True), seen.style)
        return Talk(other, f"{text}, {PLACEHOLDER} style", f"{text}, {seen.style}")
    text = caption(wanted, rng, None if rng.random() < 0.6 else concept_name(concept, rng))
    return Talk(None, text, text)


def _without_style(text: str) -> str:
    for style in STYLES:
        text = text.removesuffix(f", {style}")
    return text


_TRAINED = all_concepts(unseen=False)


def chat(asked: str, *, shows_image: bool) -> str:
    """Write the prompt as the chat template does, with the image's tokens in place."""
    image = f"<|vision_start|>{'<|image_pad|>' * IMAGE_TOKENS}<|vision_end|>" if shows_image else ""
    return f"<|im_start|>user\n{image}{asked}<|im_end|>\n<|im_start|>assistant\n"


def patches(images: Tensor) -> Tensor:
    """Cut images in [0, 1], shape (n, 3, side, side), into the patches that Qwen's image processor would hand over.

    Returns (n * 36, 3 * 2 * 6 * 6): resized to 36 px, normalised to [-1, 1], two equal frames, merge windows together.
    """
    small = interpolate(images, (_GRID * _PATCH,) * 2, mode="bicubic", antialias=True, align_corners=False)
    small = (small.clamp(0, 1) * 2 - 1)[:, None].expand(-1, 2, -1, -1, -1)
    windows = _GRID // _MERGE
    cut = small.reshape(len(images), 2, 3, windows, _MERGE, _PATCH, windows, _MERGE, _PATCH)
    return cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(len(images) * _GRID**2, -1)


def images_input(images: Tensor) -> dict[str, Tensor]:
    """Give the model's arguments for one image a row."""
    return {
        "pixel_values": patches(images),
        "image_grid_thw": torch.tensor([[1, _GRID, _GRID]]).expand(len(images), -1),
    }


def texts_input(texts: list[str], tokens: Qwen2Tokenizer, image_token: int) -> dict[str, Tensor]:
    """Tokenise whole chats, padded at the right."""
    batch = tokens(texts, padding=True, padding_side="right", return_tensors="pt").to(torch.get_default_device())
    return {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "mm_token_type_ids": (batch.input_ids == image_token).int(),
    }


def fit_eyes(folder: Path, vlm: Qwen3VLForConditionalGeneration, *, size: float, batch: int = 64) -> None:
    """Fit the vision tower for `1200 * size` steps on naming attributes from its mean token."""
    heads = Naming(vlm.config.text_config.hidden_size)

    def loss(step: int) -> Tensor:
        rng = Random(step)
        scenes = [scene_of(rng.choice(_TRAINED), rng, loose=True) for _ in range(batch)]
        seen = images_input(draw(scenes, SIDE))
        tokens = vlm.model.visual(seen["pixel_values"], grid_thw=seen["image_grid_thw"]).pooler_output
        return heads.loss(tokens.reshape(batch, IMAGE_TOKENS, -1).mean(1), scenes)

    fit(
        "eyes",
        {"eyes": vlm.model.visual, "heads": heads},
        loss,
        Budget(int(1200 * size), 3e-3, muon=True),
        folder=folder,
    )


def fit_vision_language(folder: Path, *, size: float, batch: int = 48) -> Qwen3VLForConditionalGeneration:
    """Fit the eyes, then everything for `1200 * size` steps of `batch` exchanges about concepts of the trained half."""
    tokens = tokenizer()
    vlm = vision_language_model(tokens)
    fit_eyes(folder, vlm, size=size)

    def loss(step: int) -> Tensor:
        rng = Random(step)
        talks = [talk(rng.choice(_TRAINED), rng) for _ in range(batch)]
        seeing = [one for one in talks if one.shown]
        return sum(
            _answer_loss(vlm, tokens, part) * len(part) / batch
            for part in (seeing, [one for one in talks if not one.shown])
            if part
        )

    fit(
        "vision_language",
        {"vlm": vlm},
        loss,
        Budget(int(1200 * size), 2e-3, weight_decay=0.01, muon=True),
        folder=folder,
    )
    return vlm.eval()


def _answer_loss(vlm: Qwen3VLForConditionalGeneration, tokens: Qwen2Tokenizer, talks: list[Talk]) -> Tensor:
    """Cross-entropy of the answers, and of the question too where there is no image."""
    prompts = [chat(one.asked, shows_image=one.shown is not None) for one in talks]
    inputs = texts_input(
        [p + one.answered + "<|im_end|>" for p, one in zip(prompts, talks, strict=True)],
        tokens,
        vlm.config.image_token_id,
    )
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, _NOBODY)
    if talks[0].shown is not None:
        inputs |= images_input(draw([one.shown for one in talks], SIDE))
        for row, prompt in enumerate(prompts):
            labels[row, : len(tokens(prompt).input_ids)] = _NOBODY
    states = vlm.model(**inputs).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    return cross_entropy(vlm.lm_head(states[wanted != _NOBODY]), wanted[wanted != _NOBODY])
