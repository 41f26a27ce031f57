"""Fit the undistilled denoiser of a line on its pool by flow matching: half of the rows see words alone."""

from pathlib import Path

import torch
from torch import Tensor

from dopsd.family import Network
from recipes.tiny.fit import Budget, fit, randomness
from recipes.tiny.line import Line, Pool


def fit_denoiser(
    folder: Path, line: Line, pool: Pool, *, size: float, start: Network | None = None, batch: int = 32
) -> Network:
    """Fit for `3200 * size` steps of `batch` rows a process, from nothing or from `start`."""
    denoiser = line.around(start or line.transformer())

    def loss(step: int) -> Tensor:
        random = randomness(step)
        rows = pool.batch(batch, random)
        with_image = torch.rand(batch, generator=random) < 0.5
        image = pool.latents[rows].float()
        noise = torch.randn(image.shape, generator=random)
        sigma = torch.sigmoid(torch.randn(batch, generator=random) * 1.2 + 0.4)
        x = torch.lerp(image, noise, sigma[:, None, None, None])
        contexts = pool.contexts(rows, with_image=with_image.tolist())
        return (denoiser.velocity(x, sigma, contexts) - (noise - image)).square().mean()

    fit(
        "denoiser",
        {"denoiser": denoiser.network},
        loss,
        Budget(int(3200 * size), 2e-3, ema=0.999, weight_decay=0.01, muon=True),
        folder=folder,
    )
    return denoiser.network.eval()
