"""Whether the teacher is worth following."""

import pytest
import torch

from dopsd.dataset.examples import Examples
from dopsd.family import Denoiser
from dopsd.judging import Probing
from dopsd.probe import draw_pairs, judge
from dopsd.sampling import sample


def test_pairs_differ_in_the_context_alone(denoiser: Denoiser, examples: Examples) -> None:
    pairs = list(draw_pairs(denoiser, examples.rows[:2], seeds=(0, 3), num_steps=4))
    assert [(pair.example_id, pair.seed) for pair in pairs] == [("e0", 0), ("e0", 3), ("e1", 0), ("e1", 3)]
    second = examples.rows[1]
    for context, drawn in ((second.student, pairs[3].student), (second.teacher, pairs[3].teacher)):
        alone = sample(denoiser, [context], [3], latent_shape=(4, 6, 6), num_steps=4)[0]
        assert torch.allclose(drawn, alone, atol=1e-5)


def test_a_teacher_that_comes_nearer_is_better() -> None:
    student = {"a": [0.5, 0.6], "b": [0.4, 0.5], "c": [0.6, 0.6]}
    teacher = {"a": [0.2, 0.2], "b": [0.2, 0.1], "c": [0.3, 0.2]}
    probe = judge(teacher, student, Probing())
    assert probe.is_teacher_better
    assert probe.gain.mean == pytest.approx(probe.student.mean - probe.teacher.mean)
    assert not judge(student, teacher, Probing()).is_teacher_better
    assert not judge(teacher, student, Probing(minimum_gain=0.5)).is_teacher_better


def test_a_teacher_no_different_or_unsure_is_not_better() -> None:
    student = {"a": [0.5], "b": [0.4], "c": [0.6]}
    assert not judge(student, student, Probing()).is_teacher_better
    assert not judge({"a": [0.1], "b": [0.9], "c": [0.4]}, student, Probing()).is_teacher_better
    assert not judge({"a": [0.1]}, {"a": [0.5]}, Probing()).is_teacher_better
