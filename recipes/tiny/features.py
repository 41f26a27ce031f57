"""Fit what the scores look with: a DINO-like extractor of what a thing is, and a CLIP of images and captions.

    python -m recipes.tiny fit features
"""

from pathlib import Path
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPModel, DINOv3ViTModel

from recipes.tiny import architecture
from recipes.tiny.architecture import SIDE
from recipes.tiny.drawing import draw
from recipes.tiny.fit import Budget, fit
from recipes.tiny.tokens import clip_tokenizer
from recipes.tiny.world import all_concepts, caption, full_caption, scene_of

_CONCEPTS = all_concepts(unseen=False)
_MEAN, _STD = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def fit_dino(folder: Path, *, size: float, batch: int = 96) -> DINOv3ViTModel:
    """Fit for `800 * size` steps: two scenes of one concept are alike in the mean of their patch tokens, others are not.

    A head takes the contrastive loss and is thrown away, so that the tokens below it keep more than the concept.
    """
    dino, head = architecture.dino(), nn.Linear(96, 64)

    def loss(step: int) -> Tensor:
        rng = Random(step)
        concepts = rng.sample(_CONCEPTS, batch)
        views = draw([scene_of(concept, rng) for concept in [*concepts, *concepts]], SIDE)
        views = _worn(views, torch.Generator().manual_seed(step))
        seen = F.normalize(head(patch_mean(dino, views)), dim=-1)
        return _contrast(seen[:batch], seen[batch:], 0.1)

    fit("dino", {"dino": dino, "head": head}, loss, Budget(int(800 * size), 2e-3, weight_decay=0.02), folder=folder)
    return dino.eval()


def patch_mean(dino: DINOv3ViTModel, images: Tensor) -> Tensor:
    """Average the patch tokens of images in [0, 1], shape (n, 3, side, side) to (n, 96)."""
    tokens = dino((images - _MEAN) / _STD).last_hidden_state
    return tokens[:, 1 + dino.config.num_register_tokens :].mean(1)


def _worn(images: Tensor, random: torch.Generator) -> Tensor:
    """Blur half of the images a little and add faint noise, as decoders do."""
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = (torch.rand(len(images), 1, 1, 1, generator=random) - 0.5).clamp(0, 1) * 1.6
    return (torch.lerp(images, soft, share) + 0.03 * torch.randn(images.shape, generator=random)).clamp(0, 1)


def fit_clip(folder: Path, *, size: float, batch: int = 96) -> CLIPModel:
    """Fit for `1000 * size` steps on scenes with captions, half of which say everything."""
    tokens = clip_tokenizer()
    clip = architecture.clip(
        len(tokens), {"bos_token_id": tokens.bos_token_id, "eos_token_id": tokens.eos_token_id, "pad_token_id": tokens.pad_token_id}
    )

    def loss(step: int) -> Tensor:
        rng = Random(step)
        scenes = [scene_of(rng.choice(_CONCEPTS), rng) for _ in range(batch)]
        words = [full_caption(scene) if rng.random() < 0.5 else caption(scene, rng) for scene in scenes]
        images = _worn(draw(scenes, SIDE), torch.Generator().manual_seed(step))
        seen = clip.get_image_features(pixel_values=images * 2 - 1).pooler_output
        read = clip.get_text_features(**tokens(words, padding=True, return_tensors="pt")).pooler_output
        return _contrast(F.normalize(seen, dim=-1), F.normalize(read, dim=-1), 1 / clip.logit_scale.exp().clamp(max=50))

    fit("clip", {"clip": clip}, loss, Budget(int(1000 * size), 1.5e-3, weight_decay=0.02), folder=folder)
    return clip.eval()


def _contrast(first: Tensor, second: Tensor, temperature: float | Tensor) -> Tensor:
    """InfoNCE in both directions between rows of unit length."""
    logits, own = first @ second.T / temperature, torch.arange(len(first))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
