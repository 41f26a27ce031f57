"""Fit the tiny `AutoencoderKL`: 40 px images to latents of 8 channels at a quarter of the side, and back.

python -m recipes.tiny fit autoencoder
"""

from pathlib import Path
from random import Random

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn.functional import mse_loss

from recipes.tiny.architecture import SIDE, autoencoder
from recipes.tiny.drawing import draw
from recipes.tiny.fit import Budget, fit, randomness
from recipes.tiny.world import all_concepts, scene_of


def pictures(rng: Random, count: int) -> Tensor:
    """Draw `count` scenes of the trained half of the world as images in [-1, 1], shape (count, 3, side, side)."""
    concepts = all_concepts(unseen=False)
    return draw([scene_of(rng.choice(concepts), rng, loose=True) for _ in range(count)], SIDE) * 2 - 1


def fit_autoencoder(folder: Path, *, size: float, batch: int = 16) -> AutoencoderKL:
    """Fit for `3200 * size` steps, then set shift and scale so that latents are centred and of unit variance."""
    vae = autoencoder().to(memory_format=torch.channels_last)

    def loss(step: int) -> Tensor:
        images = pictures(Random(step), batch)
        posterior = vae.encode(images).latent_dist
        error = vae.decode(posterior.sample(randomness(step))).sample - images
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        return (
            error.abs().mean()
            + 2 * mse_loss(error, torch.zeros_like(error))
            + 0.5 * edges
            + 3e-5 * posterior.kl().mean() / 100
        )

    fit("autoencoder", {"vae": vae}, loss, Budget(int(3200 * size), 2e-3, ema=0.998), folder=folder)
    return normalised(vae)


@torch.no_grad()
def normalised(vae: AutoencoderKL) -> AutoencoderKL:
    """Measure mean and spread of the latents of 512 pictures and write them into the configuration."""
    latents = vae.encode(pictures(Random(-1), 512)).latent_dist.mode()
    vae.register_to_config(shift_factor=latents.mean().item(), scaling_factor=1 / latents.std().item())
    return vae.eval()
