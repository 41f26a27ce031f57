"""Fit the de-distillation adapter of a line: what flow matching would take from the few steps, learnt beforehand.

>>> fit_dedistillation(folder, line, student, pool, size=1.0)  # the student, wearing the adapter "student"

It is fitted by flow matching on what the deployed model itself draws, so that it undoes the distillation and teaches
nothing new. `train.method: sft-adapter` fuses it, trains beside it, and leaves it out in the end.
"""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dopsd.families.catalogue import family
from dopsd.family import Network
from dopsd.weights.adapter_roles import Shape, attach_
from recipes.tiny.distillation import CHUNK, deployed_grid, drawn_once, shifted, walk
from recipes.tiny.fit import Budget, fit, randomness
from recipes.tiny.line import Line, Pool

_RANK = 16


def fit_dedistillation(
    folder: Path, line: Line, student: Network, pool: Pool, *, size: float, batch: int = 32
) -> Network:
    """Fit for `300 * size` steps on `1280 * size` pictures of the student's own, drawn from words alone."""
    rows = CHUNK * max(1, int(20 * size))
    pictures = drawn_once(folder / "own_pictures", rows, lambda some: _own_pictures(line, student, pool, some))
    network = copy.deepcopy(student).requires_grad_(requires_grad=False)
    attach_(network, Shape(family(line.family).lora_targets, _RANK, _RANK), teacher="copy", seed=0)
    denoiser = line.around(network)

    def loss(step: int) -> Tensor:
        random = randomness(step)
        chosen = torch.randint(len(pictures), (batch,), generator=random)
        image = pictures[chosen].float()
        noise = torch.randn(image.shape, generator=random)
        sigma = shifted(torch.rand(batch, generator=random), line.shift)
        x = torch.lerp(image, noise, sigma[:, None, None, None])
        contexts = pool.contexts(chosen.tolist(), with_image=[False] * batch)
        return (denoiser.velocity(x, sigma, contexts) - (noise - image)).square().mean()

    fit("dedistillation", {"adapter": network}, loss, Budget(int(300 * size), 5e-4, ema=0.99), folder=folder)
    return network.eval()


def _own_pictures(line: Line, student: Network, pool: Pool, rows: Sequence[int]) -> Tensor:
    contexts = pool.contexts(rows, with_image=[False] * len(rows))
    noise = torch.randn((len(rows), *pool.latents.shape[1:]), generator=randomness(rows[0]))
    return walk(line.around(student), noise, deployed_grid(line.shift), contexts)
