"""Distil a parent to its line's deployed 4 steps: regress each of them from the parent's fine trajectory.

First on states of the parent's own trajectories, made once; then on states that the student itself visits.
"""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor

from dopsd.family import Context, Denoiser, Network
from recipes.tiny.fit import Budget, fit, processes, randomness, rank, save_atomically
from recipes.tiny.line import Line, Pool
from tasks.comparison.counts import Evaluations

STEPS, FINE = 4, 8
"""Deployed steps, and the parent's steps within each of them: 32 in all."""
CHUNK, BATCH = 64, 32


def shifted(levels: Tensor, shift: float) -> Tensor:
    """Bend uniform noise levels towards noise, as the schedulers do."""
    return shift * levels / (1 + (shift - 1) * levels)


def deployed_grid(shift: float) -> Tensor:
    """List the noise levels of the deployed steps, shape (STEPS + 1,)."""
    return shifted(torch.linspace(1, 0, STEPS + 1), shift)


def fine_grid(index: int, shift: float) -> Tensor:
    """List the parent's noise levels within deployed step `index`, shape (FINE + 1,)."""
    return shifted(torch.linspace(1 - index / STEPS, 1 - (index + 1) / STEPS, FINE + 1), shift)


@torch.no_grad()
def walk(denoiser: Denoiser, x: Tensor, sigmas: Tensor, contexts: list[Context]) -> Tensor:
    """Follow the flow from `sigmas[0]` to `sigmas[-1]` in Euler steps."""
    for sigma, following in pairwise(sigmas):
        x = x + (following - sigma) * denoiser.velocity(x, sigma, contexts)
    return x


def trajectories(folder: Path, line: Line, parent: Network, pool: Pool, *, rows: int) -> Tensor:
    """Give the parent's states at the deployed levels, (rows, 5, *latent shape).

    Even rows read words alone, odd rows see an image too.
    """
    return drawn_once(folder / "trajectories", rows, lambda some: _trajectory(line, parent, pool, some))


def drawn_once(folder: Path, rows: int, draw: Callable[[Sequence[int]], Tensor]) -> Tensor:
    """Draw the rows that `folder` lacks, and read all, (rows, ...); each process draws its share."""
    shards = {start: folder / f"{start}.safetensors" for start in range(0, rows, CHUNK)}
    for start in list(shards)[rank() :: processes()]:
        if not shards[start].exists():
            save_atomically({"states": draw(range(start, start + CHUNK)).half()}, shards[start])
    if dist.is_initialized():
        dist.barrier()
    return torch.cat([load_file(shard, device=str(torch.get_default_device()))["states"] for shard in shards.values()])


def _trajectory(line: Line, parent: Network, pool: Pool, rows: Sequence[int]) -> Tensor:
    denoiser, contexts = line.around(parent), _read(pool, rows)
    states = [torch.randn((len(rows), *pool.latents.shape[1:]), generator=randomness(rows[0]))]
    for index in range(STEPS):
        states.append(walk(denoiser, states[-1], fine_grid(index, line.shift), contexts))
    return torch.stack(states, dim=1)


def _read(pool: Pool, rows: Sequence[int]) -> list[Context]:
    return pool.contexts(rows, with_image=[row % 2 == 1 for row in rows])


def num_rows(size: float) -> int:
    """Say how many trajectories are made: about 1,280 a size."""
    return CHUNK * max(1, int(20 * size))


def num_steps(size: float) -> tuple[int, int]:
    """Say how many steps are made on trajectories, and on the student's own states."""
    return int(350 * size), int(60 * size)


def evaluations(*, size: float, batch: int = BATCH, num_processes: int = 1) -> Evaluations:
    """Count what `fit_student` asks of a network; the states that a student walks to are drawn: their mean counts."""
    on_trajectories, on_own = (steps * num_processes for steps in num_steps(size))
    regressed, own = batch * on_trajectories, batch // 2 * on_own
    walked = own * (sum(range(STEPS)) / STEPS + FINE)
    return Evaluations(num_rows(size) * STEPS * FINE, regressed + own + round(walked), regressed + own)


def fit_student(folder: Path, line: Line, parent: Network, pool: Pool, *, size: float, batch: int = BATCH) -> Network:
    """Fit a copy of the parent to its trajectories, then to what the parent says of the student's own states."""
    student, teacher = line.around(copy.deepcopy(parent)), line.around(parent)
    states = trajectories(folder, line, parent, pool, rows=num_rows(size))
    deployed = deployed_grid(line.shift)

    def regress(x: Tensor, target: Tensor, index: Tensor, contexts: list[Context]) -> Tensor:
        sigma, following = deployed[index], deployed[index + 1]
        secant = (target - x) / (following - sigma)[:, None, None, None]
        return (student.velocity(x, sigma, contexts) - secant).square().mean()

    def on_trajectories(step: int) -> Tensor:
        random = randomness(step)
        rows = torch.randint(len(states), (batch,), generator=random)
        index = torch.randint(STEPS, (batch,), generator=random)
        x, target = states[rows, index].float(), states[rows, index + 1].float()
        return regress(x, target, index, _read(pool, rows.tolist()))

    def on_own_states(step: int) -> Tensor:
        random = randomness(10_000 + step)
        rows = torch.randint(len(pool.latents), (batch // 2,), generator=random).tolist()
        index, contexts = int(torch.randint(STEPS, (), generator=random)), _read(pool, rows)
        x = torch.randn((len(rows), *pool.latents.shape[1:]), generator=random)
        x = walk(student, x, deployed[: index + 1], contexts)
        target = walk(teacher, x, fine_grid(index, line.shift), contexts)
        return regress(x, target, torch.full((len(rows),), index), contexts)

    weights, steps = {"student": student.network}, num_steps(size)
    fit("student", weights, on_trajectories, Budget(steps[0], 1e-3, muon=True), folder=folder)
    fit("student_own_states", weights, on_own_states, Budget(steps[1], 4e-4, muon=True), folder=folder)
    return student.network.eval()
