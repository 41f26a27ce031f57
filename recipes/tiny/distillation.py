"""Distil the tiny Z-Image to its deployed 4 steps: regress each of them from the parent's fine trajectory.

First on states of the parent's own trajectories, made once; then on states that the student itself visits.

    python -m recipes.tiny fit student
"""

import copy
from itertools import pairwise
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import ZImageTransformer2DModel
from safetensors.torch import load_file
from torch import Tensor

from recipes.tiny.denoiser import velocity
from recipes.tiny.fit import Budget, fit, processes, randomness, rank, save_atomically
from recipes.tiny.pool import Pool

STEPS, FINE = 4, 8
"""Deployed steps, and the parent's steps within each of them: 32 in all."""
_CHUNK = 64


def shifted(levels: Tensor, shift: float = 3.0) -> Tensor:
    """Bend uniform noise levels towards noise, as the scheduler does."""
    return shift * levels / (1 + (shift - 1) * levels)


def fine_grid(index: int) -> Tensor:
    """List the parent's noise levels within deployed step `index`, shape (FINE + 1,)."""
    return shifted(torch.linspace(1 - index / STEPS, 1 - (index + 1) / STEPS, FINE + 1))


@torch.no_grad()
def walk(denoiser: ZImageTransformer2DModel, x: Tensor, sigmas: Tensor, contexts: list[Tensor]) -> Tensor:
    """Follow the flow from `sigmas[0]` to `sigmas[-1]` in Euler steps."""
    for sigma, following in pairwise(sigmas.tolist()):
        x = x + (following - sigma) * velocity(denoiser, x, torch.full((len(x),), sigma), contexts)
    return x


def trajectories(folder: Path, parent: ZImageTransformer2DModel, pool: Pool, *, rows: int) -> Tensor:
    """Make the parent's states at the deployed levels that `folder` lacks, and read them, shape (rows, 5, 8, 10, 10).

    Even rows read words alone, odd rows an image too. Each process makes its share.
    """
    shards = {start: folder / "trajectories" / f"{start}.safetensors" for start in range(0, rows, _CHUNK)}
    for start in list(shards)[rank() :: processes()]:
        if not shards[start].exists():
            states = _trajectory(parent, pool, range(start, start + _CHUNK))
            save_atomically({"states": states.half()}, shards[start])
    if dist.is_initialized():
        dist.barrier()
    return torch.cat([load_file(shard, device=str(torch.get_default_device()))["states"] for shard in shards.values()])


def _trajectory(parent: ZImageTransformer2DModel, pool: Pool, rows: range) -> Tensor:
    read = [pool.context(row, with_image=row % 2 == 1) for row in rows]
    states = [torch.randn((len(rows), *pool.latents.shape[1:]), generator=randomness(rows.start))]
    for index in range(STEPS):
        states.append(walk(parent, states[-1], fine_grid(index), read))
    return torch.stack(states, dim=1)


def fit_student(
    folder: Path, parent: ZImageTransformer2DModel, pool: Pool, *, size: float, batch: int = 32
) -> ZImageTransformer2DModel:
    """Fit a copy of the parent: `350 * size` steps on `1280 * size` trajectories, `60 * size` on its own states."""
    student, deployed = copy.deepcopy(parent), shifted(torch.linspace(1, 0, STEPS + 1))
    states = trajectories(folder, parent, pool, rows=_CHUNK * max(1, int(20 * size)))

    def regress(x: Tensor, target: Tensor, index: Tensor, read: list[Tensor]) -> Tensor:
        sigma, following = deployed[index], deployed[index + 1]
        secant = (target - x) / (following - sigma)[:, None, None, None]
        return (velocity(student, x, sigma, read) - secant).square().mean()

    def on_trajectories(step: int) -> Tensor:
        random = randomness(step)
        rows = torch.randint(len(states), (batch,), generator=random)
        index = torch.randint(STEPS, (batch,), generator=random)
        read = [pool.context(int(row), with_image=int(row) % 2 == 1) for row in rows]
        return regress(states[rows, index].float(), states[rows, index + 1].float(), index, read)

    def on_own_states(step: int) -> Tensor:
        random = randomness(10_000 + step)
        rows = torch.randint(len(pool.latents), (batch // 2,), generator=random).tolist()
        read = [pool.context(row, with_image=row % 2 == 1) for row in rows]
        index = int(torch.randint(STEPS, (), generator=random))
        x = torch.randn((len(rows), *pool.latents.shape[1:]), generator=random)
        x = walk(student, x, deployed[: index + 1], read)
        target = walk(parent, x, fine_grid(index), read)
        return regress(x, target, torch.full((len(rows),), index), read)

    fit("student", {"student": student}, on_trajectories, Budget(int(350 * size), 1e-3, muon=True), folder=folder)
    fit(
        "student_own_states",
        {"student": student},
        on_own_states,
        Budget(int(60 * size), 4e-4, muon=True),
        folder=folder,
    )
    return student.eval()
