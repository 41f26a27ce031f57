"""Is the teacher worth following? Teacher and student draw the training prompts in the deployed steps.

>>> pairs = list(draw_pairs(denoiser, examples, seeds=(0, 1), num_steps=4))
>>> report = judge(teacher_distances, student_distances, Probing())  # example id to distances, one a seed

On-policy distillation pulls the student towards the teacher, wherever the teacher goes: a base that cannot use a shown
picture teaches nothing (arXiv:2605.05204, section 4), and the GPU hours are better kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Denoiser
from dopsd.judging import Probing
from dopsd.metrics.statistics import Interval, difference, summary
from dopsd.sampling import sample

Distances = Mapping[str, Sequence[float]]
"""Example id to its distances from the target, one a seed; a likeness such as DINO-D, low is near."""


@dataclass(frozen=True)
class Pair:
    """What teacher and student draw for one example from one noise; latents (c, h, w)."""

    example_id: str
    seed: int
    teacher: Tensor
    student: Tensor


@dataclass(frozen=True)
class Probe:
    """Distances of both parts to the targets, how much nearer the teacher is, and whether that is enough."""

    teacher: Interval
    student: Interval
    gain: Interval
    is_teacher_better: bool


def draw_pairs(
    denoiser: Denoiser, examples: Sequence[Example], *, seeds: Sequence[int], num_steps: int
) -> Iterator[Pair]:
    """Draw every example from every seed, twice: with the teacher's context and with the student's.

    The network acts with whatever adapter it wears, the parent's or none.
    """
    for example in examples:
        both = [
            sample(denoiser, [context] * len(seeds), seeds, latent_shape=example.latents.shape, num_steps=num_steps)
            for context in (example.teacher, example.student)
        ]
        for seed, taught, learned in zip(seeds, *both, strict=True):
            yield Pair(example.id, seed, taught, learned)


def judge(teacher: Distances, student: Distances, probing: Probing) -> Probe:
    """Compare the two, paired by example: the teacher is better when the gain's lower end clears `minimum_gain`."""
    gain = difference(student, teacher, confidence=probing.confidence)
    return Probe(
        teacher=summary(teacher, confidence=probing.confidence),
        student=summary(student, confidence=probing.confidence),
        gain=gain,
        is_teacher_better=gain.low > probing.minimum_gain,
    )
