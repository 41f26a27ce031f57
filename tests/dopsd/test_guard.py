"""The guard: a collapse ends the training and leaves what was good, a good training is left alone."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from dopsd.checkpoints.checkpoint import Checkpoint
from dopsd.checkpoints.standing import Standing
from dopsd.dataset.examples import Examples
from dopsd.family import Context, Denoiser
from dopsd.guard import Guard
from dopsd.recipe import Training
from dopsd.run import Run, identity
from dopsd.training import Record, train
from dopsd.weights.adapter import save_adapter

GUARDED = Training(
    rank=4, alpha=4, iterations=8, batch_size=2, learning_rate=1e-4, precision="fp32", checkpoint_every=5,
    sample_every=0, stop_early=2, stop_after=2,
)  # fmt: skip
COLLAPSE = replace(GUARDED, method="sft", learning_rate=3e-3)


@pytest.fixture
def examples(examples: Examples) -> Examples:
    """Make all prompts equally long, so that they are rolled out at once."""
    return replace(examples, rows=tuple(replace(row, student=Context(row.student.tokens[:5])) for row in examples))


def trained(models: Any, examples: Examples, training: Training, run: Run) -> tuple[list[Record], bytes]:
    """Train a fresh network; return what was told, and the bytes of what was left."""
    denoiser = run.family.load_denoiser(models.base)
    records = list(train(denoiser, examples, training, run))
    return records, save_adapter(denoiser.network, run.state / "adapter", run.family.pipeline).read_bytes()


def standing(training: Training, run: Run, examples: Examples) -> Standing:
    """Read where a training stands."""
    return Checkpoint(run.state, identity(training, run, examples.digest)).standing()


def test_a_good_training_is_left_alone_to_the_bit(models: Any, examples: Examples, run: Run, tmp_path: Path) -> None:
    records, got = trained(models, examples, GUARDED, run)
    free, wanted = trained(models, examples, replace(GUARDED, stop_early=0), replace(run, state=tmp_path / "free"))
    assert got == wanted
    assert [record.loss for record in records] == [record.loss for record in free]
    checks = {record.step + 1: record.strayed for record in records if record.strayed}
    assert list(checks) == [2, 4, 6, 8]
    assert max(value for found in checks.values() for value in found.values()) < 1
    assert standing(GUARDED, run, examples) == Standing(8, strikes=0, good=8)


def test_a_collapse_ends_after_so_many_checks_and_leaves_what_was_good(
    models: Any, examples: Examples, run: Run, tmp_path: Path
) -> None:
    records, got = trained(models, examples, COLLAPSE, run)
    assert [max(record.strayed.values()) > 1 for record in records if record.strayed] == [False, False, True, True]
    assert standing(COLLAPSE, run, examples) == Standing(8, strikes=2, good=4)
    shorter = replace(COLLAPSE, iterations=4, stop_early=0)
    assert got == trained(models, examples, shorter, replace(run, state=tmp_path / "shorter"))[1]
    assert trained(models, examples, COLLAPSE, run) == ([], got)  # it stays ended


def test_where_nothing_was_good_the_beginning_is_left(models: Any, examples: Examples, run: Run) -> None:
    hopeless = replace(COLLAPSE, stop_early=1, stop_after=1, learning_rate=0.3)
    denoiser = run.family.load_denoiser(models.base)
    assert len(list(train(denoiser, examples, hopeless, run))) == 1
    assert standing(hopeless, run, examples) == Standing(1, strikes=1, good=0)
    weights = {name: weight for name, weight in denoiser.network.named_parameters() if "lora_B.student" in name}
    assert weights
    assert not any(weight.any() for weight in weights.values())


def test_a_guarded_training_goes_on_as_if_never_stopped(
    models: Any, examples: Examples, run: Run, tmp_path: Path
) -> None:
    whole, wanted = trained(models, examples, COLLAPSE, replace(run, state=tmp_path / "whole"))
    told: dict[int, Record] = {}
    for patience in (2, 3, 99):
        part = train(run.family.load_denoiser(models.base), examples, COLLAPSE, run)
        told |= {record.step: record for record in islice(part, patience)}
    assert list(told.values()) == whole
    assert trained(models, examples, COLLAPSE, run) == ([], wanted)


@pytest.mark.parametrize("weights", ["dora", "full"])
def test_whatever_learns_is_guarded(models: Any, examples: Examples, run: Run, weights: Any) -> None:
    collapse = replace(COLLAPSE, weights=weights, learning_rate=0.03, stop_early=1)
    records = list(train(run.family.load_denoiser(models.base), examples, collapse, run))
    assert standing(collapse, run, examples).is_stopped(collapse)
    assert len(records) < 6


def test_the_untrained_model_has_gone_nowhere(denoiser: Denoiser, examples: Examples) -> None:
    guard = Guard.of(denoiser, examples, GUARDED)
    assert guard.floors.keys() == {"curvature", "sharpness", "contrast", "divergence"}
    assert guard.strayed(denoiser, 4) == pytest.approx(dict.fromkeys(guard.floors, 0.0), abs=1e-6)
    assert guard.strayed(denoiser, 5) == {}


def test_without_a_guard_nothing_is_rolled_out(examples: Examples) -> None:
    nobody: Any = None
    assert Guard.of(nobody, examples, replace(GUARDED, stop_early=0)).strayed(nobody, 2) == {}


def test_plain_words_are_what_learning_should_leave_alone(denoiser: Denoiser, examples: Examples) -> None:
    plain = Context(torch.ones(5, 32))
    worded = replace(examples, rows=tuple(replace(row, plain=plain) for row in examples))
    guard = Guard.of(denoiser, worded, GUARDED)
    assert all(context is plain for context in guard.contexts)
    assert "divergence" not in guard.floors  # one prompt alone has no other words beside it


@pytest.mark.parametrize(
    ("found", "strikes", "good"),
    [([0.5, 0.5], 0, 2), ([0.5, 2.0], 1, 1), ([2.0, 2.0], 2, 0), ([2.0, 0.5], 0, 2)],
)
def test_strikes_count_in_a_row(found: Sequence[float], strikes: int, good: int) -> None:
    standing = Standing()
    for value in found:
        standing = standing.after({"curvature": 0.1, "divergence": value})
    assert standing == Standing(2, strikes, good)
    assert standing.after({}) == Standing(3, strikes, good)
    assert standing.is_stopped(GUARDED) == (strikes == 2)
    assert Standing.read(standing.notes()) == standing
