"""What student and teacher draw at one moment of a training, for people to see; nothing is learnt from it.

>>> seen = look(denoiser, roles, some(examples, 3), num_steps=4)
>>> seen.student[-1], seen.teacher  # samples, latents of shape (n, c, h, w)

The noise is the same at every moment, and drawn from generators of its own: training does not notice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dopsd.dataset.examples import Example, Examples
from dopsd.family import Denoiser
from dopsd.metrics.divergence import states
from dopsd.recipe import Training
from dopsd.sampling import Walk, walks
from dopsd.weights.roles import Roles

MOST = 3
"""So many examples are shown: a decoder at full size takes its time."""


@dataclass(frozen=True)
class Look:
    """Latents a shown example (n of them, named by `ids`), fp32 on the CPU.

    `student` is the image that it has in mind at each deployed step, (steps, n, c, h, w); the last is its sample.
    `teacher` is the sample of the teacher, who sees the picture, from the same noise, (n, c, h, w).
    """

    ids: tuple[str, ...]
    student: Tensor
    teacher: Tensor


def look(denoiser: Denoiser, roles: Roles, examples: Sequence[Example], num_steps: int) -> Look:
    """Let both draw `examples`, which share a latent shape; the student speaks again afterwards."""
    seeds, shape = range(len(examples)), examples[0].latents.shape
    learned = walks(denoiser, [row.student for row in examples], seeds, latent_shape=shape, num_steps=num_steps)
    with roles.as_teacher():
        taught = walks(denoiser, [row.teacher for row in examples], seeds, latent_shape=shape, num_steps=num_steps)
    return Look(tuple(row.id for row in examples), in_mind(learned), taught.latents)


def in_mind(walk: Walk) -> Tensor:
    """Give x0 = x - sigma v at every state of a roll-out, (steps, n, c, h, w); the last are its final latents."""
    sigmas = walk.sigmas[:-1].view(-1, 1, 1, 1, 1)
    return torch.cat([(states(walk) - sigmas * walk.velocities)[:-1], walk.latents[None]])


def some(examples: Examples, most: int) -> list[Example]:
    """Choose the first examples that share a latent shape; ids are digests, so this is a fair draw."""
    shape = examples.rows[0].latents.shape
    return [row for row in examples if row.latents.shape == shape][:most]


def taken(denoiser: Denoiser, roles: Roles, examples: Examples, training: Training, step: int) -> Look | None:
    """Look where it is due after iteration `step`: at the first, every so often, and at the last."""
    every = training.sample_every
    if every == 0 or (step % every and step + 1 != training.iterations):
        return None
    return look(denoiser, roles, some(examples, MOST), training.num_steps)
