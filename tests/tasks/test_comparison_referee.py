"""The referee sees what pictures say to the teacher, and nothing else."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from dopsd.family import Context
from tasks.comparison import sections
from tasks.comparison.referee import Scenes, disagreements
from tasks.comparison.table import divergences


def saying(*values: float) -> list[Context]:
    return [Context(torch.full((1, 1), float(value))) for value in values]


class Parts:
    """A network whose velocity is what it is told, times its one weight, which is another one in the teacher."""

    def __init__(self, student: float, teacher: float) -> None:
        self.weight, self._teacher = student, teacher
        self.network = nn.Linear(1, 1)
        self.denoiser = SimpleNamespace(network=self.network, sigmas=self.sigmas, velocity=self.velocity)

    def sigmas(self, num_steps: int, shape: Sequence[int]) -> Tensor:
        return torch.linspace(1, 0, num_steps + 1)

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Sequence[Context]) -> Tensor:
        told = torch.stack([context.tokens.mean() for context in contexts])
        return self.weight * told.view(-1, 1, 1, 1).expand_as(x)

    @contextmanager
    def as_teacher(self) -> Iterator[None]:
        student, self.weight = self.weight, self._teacher
        yield
        self.weight = student


def seen(parts: Parts) -> dict[str, list[float]]:
    teacher = {"right": saying(1.5, 1.5), "wrong": saying(-1, -1), "none": saying(1, 1)}
    scenes = Scenes(["a [V]", "a red [V]"], [0, 1], saying(1, 1), teacher)
    rows = list(disagreements(parts.denoiser, parts, scenes, shape=(1, 2, 2), num_steps=3))
    return {image: [row["value"] for row in rows if row["image"] == image] for image in teacher}


def test_before_training_only_the_picture_makes_a_difference() -> None:
    found = seen(Parts(student=2.0, teacher=2.0))
    assert found["none"] == pytest.approx([0, 0], abs=1e-6)
    assert found["right"] == pytest.approx([0.25, 0.25])
    assert found["wrong"] == pytest.approx([4, 4])


def test_a_student_that_learnt_what_the_picture_says_is_far_from_a_teacher_without_one() -> None:
    found = seen(Parts(student=3.0, teacher=2.0))
    assert found["right"] == pytest.approx([0, 0], abs=1e-6)
    assert found["none"] == pytest.approx([1 / 9, 1 / 9])


def test_moments_are_paired_with_the_one_before_training() -> None:
    frame = pd.DataFrame(
        {"concept": concept, "train_seed": 0, "iterations": stop, "image": image, "prompt": "a", "seed": 0,
         "value": far - 0.01 * stop * (image == "right")}
        for concept, far in (("star", 1.0), ("ring", 5.0)) for stop in (0, 10) for image in ("right", "none")
    )  # fmt: skip
    moments = divergences(frame)["right"]
    assert (moments[10]["minus before"].mean, moments[0]["minus before"].mean) == pytest.approx((-0.1, 0))
    assert moments[10]["minus before"].high < 0
    assert moments[10]["divergence"].low < 0
    assert "| right | 10 | 2.900 [" in sections.referee_section(frame, "").text
