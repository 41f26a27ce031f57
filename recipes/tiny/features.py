"""Fit what the scores look with: an extractor in DINO's place, and a CLIP of images and captions.

python -m recipes.tiny fit features
"""

from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, cross_entropy, normalize, pad
from transformers import CLIPModel, DINOv3ViTModel

from recipes.tiny import architecture
from recipes.tiny.architecture import SIDE
from recipes.tiny.drawing import draw
from recipes.tiny.fit import Budget, fit, randomness
from recipes.tiny.naming import Naming
from recipes.tiny.tokens import clip_tokenizer
from recipes.tiny.world import all_concepts, caption, full_caption, scene_of

_CONCEPTS = all_concepts(unseen=False)
_MEAN, _STD = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def fit_dino(folder: Path, *, size: float, batch: int = 96) -> DINOv3ViTModel:
    """Fit for `2600 * size` steps on naming what a scene is from the mean of its patch tokens.

    DINO learns without labels, from far more pictures than a tiny model can be shown; only the use is the same.
    """
    dino, heads = architecture.dino(), Naming(96)

    def loss(step: int) -> Tensor:
        rng = Random(step)
        scenes = [scene_of(rng.choice(_CONCEPTS), rng, loose=rng.random() < 0.3) for _ in range(batch)]
        return heads.loss(patch_mean(dino, _worn(draw(scenes, SIDE), randomness(step))), scenes)

    fit(
        "dino",
        {"dino": dino, "heads": heads},
        loss,
        Budget(int(2600 * size), 3e-3, weight_decay=0.02, muon=True),
        folder=folder,
    )
    return dino.eval()


def patch_mean(dino: DINOv3ViTModel, images: Tensor) -> Tensor:
    """Average the patch tokens of images in [0, 1], shape (n, 3, side, side) to (n, 96)."""
    tokens = dino((images - _MEAN.to(images.device)) / _STD.to(images.device)).last_hidden_state
    return tokens[:, 1 + dino.config.num_register_tokens :].mean(1)


def _worn(images: Tensor, random: torch.Generator) -> Tensor:
    """Blur half of the images a little and add faint noise, as decoders do."""
    soft = avg_pool2d(pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = (torch.rand(len(images), 1, 1, 1, generator=random) - 0.5).clamp(0, 1) * 1.6
    return (torch.lerp(images, soft, share) + 0.03 * torch.randn(images.shape, generator=random)).clamp(0, 1)


def fit_clip(folder: Path, *, size: float, batch: int = 64) -> CLIPModel:
    """Fit for `800 * size` steps on scenes with captions, half of which say everything."""
    tokens = clip_tokenizer()
    clip = architecture.clip(
        len(tokens),
        {"bos_token_id": tokens.bos_token_id, "eos_token_id": tokens.eos_token_id, "pad_token_id": tokens.pad_token_id},
    )
    heads = Naming(clip.config.projection_dim)

    def loss(step: int) -> Tensor:
        rng = Random(step)
        scenes = [scene_of(rng.choice(_CONCEPTS), rng, loose=rng.random() < 0.3) for _ in range(batch)]
        words = [full_caption(scene) if rng.random() < 0.5 else caption(scene, rng) for scene in scenes]
        images = _worn(draw(scenes, SIDE), randomness(step))
        seen = clip.get_image_features(pixel_values=images * 2 - 1).pooler_output
        read = clip.get_text_features(**tokens(words, padding=True, return_tensors="pt").to(seen.device)).pooler_output
        logits = normalize(seen, dim=-1) @ normalize(read, dim=-1).T * clip.logit_scale.exp().clamp(max=50)
        own = torch.arange(batch)
        contrast = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
        return contrast + heads.loss(seen, scenes)

    fit(
        "clip",
        {"clip": clip, "heads": heads},
        loss,
        Budget(int(800 * size), 2e-3, weight_decay=0.02, muon=True),
        folder=folder,
    )
    return clip.eval()
