"""Fit the undistilled tiny Z-Image on the pool by flow matching: half of the rows see words alone, half an image too.

python -m recipes.tiny fit denoiser
"""

from pathlib import Path

import torch
from diffusers import ZImageTransformer2DModel
from torch import Tensor

from recipes.tiny.architecture import transformer
from recipes.tiny.fit import Budget, fit, randomness
from recipes.tiny.pool import Pool


def fit_denoiser(
    folder: Path, pool: Pool, *, size: float, start: ZImageTransformer2DModel | None = None, batch: int = 32
) -> ZImageTransformer2DModel:
    """Fit for `3200 * size` steps of `batch` rows a process, from nothing or from `start`."""
    denoiser, short = start or transformer(), pool.short_rows()

    def loss(step: int) -> Tensor:
        random = randomness(step)
        # A long context pads its whole batch, so those that need more than 32 tokens mostly wait for a batch in seven.
        rows = torch.randint(len(pool.latents if step % 14 < 2 else short), (batch,), generator=random)
        rows = rows if step % 14 < 2 else short[rows]
        with_image = torch.rand(batch, generator=random) < 0.5
        image = pool.latents[rows].float()
        noise = torch.randn(image.shape, generator=random)
        sigma = torch.sigmoid(torch.randn(batch, generator=random) * 1.2 + 0.4)
        x = torch.lerp(image, noise, sigma[:, None, None, None])
        read = [pool.context(int(r), with_image=bool(w)) for r, w in zip(rows, with_image, strict=True)]
        return (velocity(denoiser, x, sigma, read) - (noise - image)).square().mean()

    fit(
        "denoiser",
        {"denoiser": denoiser},
        loss,
        Budget(int(3200 * size), 2e-3, ema=0.999, weight_decay=0.01, muon=True),
        folder=folder,
    )
    return denoiser.eval()


def velocity(denoiser: ZImageTransformer2DModel, x: Tensor, sigma: Tensor, contexts: list[Tensor]) -> Tensor:
    """Predict d(latents)/d(sigma) at `x`, shape (n, 8, 10, 10); the class itself counts time from noise to image."""
    towards_image = denoiser(list(x[:, :, None]), 1 - sigma, contexts, return_dict=False)[0]
    return -torch.stack(list(towards_image))[:, :, 0]
