"""The loop: going on equals never stopping, and nothing good is lost."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from dopsd.checkpoints.checkpoint import Checkpoint
from dopsd.checkpoints.standing import Standing
from dopsd.curves import point
from dopsd.dataset.examples import Examples
from dopsd.family import Context, Denoiser
from dopsd.recipe import Training
from dopsd.run import Run, identity
from dopsd.training import Record, train
from dopsd.weights.adapter import save_adapter
from dopsd.weights.trained import FILE

TINY = Training(
    rank=4, alpha=4, iterations=4, batch_size=2, learning_rate=1e-3, precision="fp32", checkpoint_every=2,
    sample_every=0,
)  # fmt: skip


def finished(models: Any, examples: Examples, training: Training, run: Run) -> tuple[list[Record], bytes]:
    """Train to the end on a fresh network; return what was told and the bytes of the adapter."""
    denoiser = run.family.load_denoiser(models.base)
    records = list(train(denoiser, examples, training, run))
    return records, save_adapter(denoiser.network, run.state / "adapter", run.family.pipeline).read_bytes()


def states(run: Run) -> list[Path]:
    """List the saved states of the one run in its folder, oldest first."""
    return sorted(run.state.glob("*/after-*.safetensors"))


def begins_at(models: Any, examples: Examples, training: Training, run: Run) -> int:
    """Tell at which iteration a run on a fresh network sets in."""
    return next(train(run.family.load_denoiser(models.base), examples, training, run)).step


@pytest.mark.parametrize("teacher", ["ema", "frozen"])
def test_resuming_equals_never_stopping(
    models: Any, examples: Examples, run: Run, tmp_path: Path, teacher: Any
) -> None:
    training = replace(TINY, teacher=teacher)
    whole, wanted = finished(models, examples, training, replace(run, state=tmp_path / "whole"))
    stopped = run.family.load_denoiser(models.base)
    before = list(islice(train(stopped, examples, training, run), 3))
    after, got = finished(models, examples, training, run)
    assert [record.step for record in after] == [2, 3]
    assert [*before[:2], *after] == whole
    assert got == wanted


def test_a_finished_run_is_not_repeated(models: Any, examples: Examples, run: Run) -> None:
    _, wanted = finished(models, examples, TINY, run)
    records, got = finished(models, examples, TINY, run)
    assert records == []
    assert got == wanted


def test_resuming_equals_never_stopping_where_sizes_differ(
    models: Any, of_two_sizes: Examples, run: Run, tmp_path: Path
) -> None:
    sft = replace(TINY, method="sft", iterations=6, batch_size=4)
    whole, wanted = finished(models, of_two_sizes, sft, replace(run, state=tmp_path / "whole"))
    before = list(islice(train(run.family.load_denoiser(models.base), of_two_sizes, sft, run), 3))
    after, got = finished(models, of_two_sizes, sft, run)
    assert got == wanted
    assert [*before[:2], *after] == whole


def test_a_checkpoint_tells_where_it_stands(denoiser: Denoiser, examples: Examples, run: Run) -> None:
    checkpoint = Checkpoint(run.state, identity(TINY, run, examples.digest))
    told = [checkpoint.standing().position for _ in train(denoiser, examples, TINY, run)]
    assert told == [0, 0, 2, 2]
    assert checkpoint.standing() == Standing(4)
    assert checkpoint.standing(most=3) == Standing(2)


def test_more_iterations_go_on_from_the_end(models: Any, examples: Examples, run: Run) -> None:
    finished(models, examples, TINY, run)
    assert begins_at(models, examples, replace(TINY, iterations=5), run) == 4


@pytest.mark.parametrize("change", [{"seed": 1}, {"learning_rate": 1e-4}, {"teacher": "frozen"}])
def test_other_settings_start_anew(models: Any, examples: Examples, run: Run, change: dict[str, Any]) -> None:
    finished(models, examples, TINY, run)
    assert begins_at(models, examples, replace(TINY, **change), run) == 0


def test_other_data_or_another_base_start_anew(models: Any, examples: Examples, run: Run) -> None:
    finished(models, examples, TINY, run)
    longer = replace(TINY, iterations=5)
    assert begins_at(models, replace(examples, digest="other"), longer, run) == 0
    assert begins_at(models, examples, longer, replace(run, base="small-z-image@1")) == 0


def test_fewer_iterations_are_not_more(models: Any, examples: Examples, run: Run, tmp_path: Path) -> None:
    _, wanted = finished(models, examples, replace(TINY, iterations=3), replace(run, state=tmp_path / "other"))
    finished(models, examples, TINY, run)
    assert finished(models, examples, replace(TINY, iterations=3), run)[1] == wanted


def test_the_last_states_are_kept(models: Any, examples: Examples, run: Run) -> None:
    every = replace(TINY, checkpoint_every=1, checkpoints_kept=3)
    finished(models, examples, every, run)
    assert [path.name for path in states(run)] == [f"after-{n:08d}.safetensors" for n in (2, 3, 4)]
    (states(run)[0].parent / "after-00000009.safetensors.77.staged").write_text("what a kill left half written")
    finished(models, examples, replace(every, iterations=5, checkpoints_kept=1), run)
    assert [path.name for path in states(run)] == ["after-00000005.safetensors"]


@pytest.mark.parametrize("harm", [lambda content: content[:-100], lambda content: content[:-1] + b"?"])
def test_a_torn_state_is_told_and_the_one_before_serves(
    models: Any, examples: Examples, run: Run, caplog: pytest.LogCaptureFixture, harm: Callable[[bytes], bytes]
) -> None:
    _, wanted = finished(models, examples, TINY, run)
    *_, newest = states(run)
    newest.write_bytes(harm(newest.read_bytes()))
    records, got = finished(models, examples, TINY, run)
    assert [record.step for record in records] == [2, 3]
    assert got == wanted
    assert f"{newest.name} is damaged" in caplog.text
    assert "the state before it is tried" in caplog.text


def test_where_all_states_are_torn_nothing_is_made_up(models: Any, examples: Examples, run: Run) -> None:
    finished(models, examples, TINY, run)
    for path in states(run):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match=rf"{path.name} is damaged.*delete it to train from the start"):
        finished(models, examples, TINY, run)


def test_the_state_of_another_run_is_refused_with_the_reason(models: Any, examples: Examples, run: Run) -> None:
    other = replace(run, base="small-z-image@1", state=run.state / "other")
    finished(models, replace(examples, digest="others"), replace(TINY, seed=7), other)
    mine = Checkpoint(run.state, identity(TINY, run, examples.digest)).folder
    mine.mkdir(parents=True)
    shutil.copy(states(other)[-1], mine)
    with pytest.raises(ValueError, match="belongs to another run") as refused:
        finished(models, examples, TINY, run)
    for reason in (
        "base is 'small-z-image@1' there and 'small-z-image@0' here",
        "examples is",
        "train.seed is 7 there",
    ):
        assert reason in str(refused.value)


def test_no_global_random_number_matters(models: Any, examples: Examples, run: Run, tmp_path: Path) -> None:
    _, wanted = finished(models, examples, TINY, replace(run, state=tmp_path / "whole"))
    denoiser = run.family.load_denoiser(models.base)
    for record in train(denoiser, examples, TINY, run):
        torch.manual_seed(record.step)
        np.random.seed(record.step)
    assert save_adapter(denoiser.network, tmp_path, run.family.pipeline).read_bytes() == wanted


def test_being_asked_to_end_finishes_the_iteration_and_saves_it(models: Any, examples: Examples, run: Run) -> None:
    before, told = signal.getsignal(signal.SIGTERM), []
    with pytest.raises(SystemExit) as ended:
        for record in train(run.family.load_denoiser(models.base), examples, TINY, run):
            told.append(record.step)
            if record.step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
    assert (told, ended.value.code) == ([0, 1, 2], 75)
    assert signal.getsignal(signal.SIGTERM) is before
    records, got = finished(models, examples, TINY, run)
    assert [record.step for record in records] == [3]
    assert got == finished(models, examples, TINY, replace(run, state=run.state / "whole"))[1]


def test_a_kill_at_any_moment_changes_no_bit(models: Any, examples: Examples, run: Run, tmp_path: Path) -> None:
    training, moments = replace(TINY, checkpoint_every=1, iterations=6), random.Random(0)
    begun = time.monotonic()
    _, wanted = finished(models, examples, training, replace(run, state=tmp_path / "whole"))
    took = time.monotonic() - begun
    for patience in (*(moments.uniform(0, took) for _ in range(5)), None):
        child = get_context("fork").Process(target=finished, args=(models, examples, training, run))
        child.start()
        child.join(patience)
        child.kill()
        child.join()
    assert child.exitcode == 0
    assert (run.state / "adapter" / FILE).read_bytes() == wanted


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(
    denoiser: Denoiser, examples: Examples, run: Run
) -> None:
    told = []
    with pytest.raises(FloatingPointError, match=r"iteration 2: loss nan.*kept in"):
        for record in train(denoiser, examples, TINY, run):
            told.append(record)
            if record.step == 1:
                denoiser.network.x_pad_token.data[:] = torch.nan  # type: ignore[union-attr, index, operator]
    assert len(told) == 2
    assert Checkpoint(run.state, identity(TINY, run, examples.digest)).standing() == Standing(2)


def test_the_student_comes_nearer_to_a_frozen_teacher(models: Any, examples: Examples, run: Run) -> None:
    training = replace(TINY, teacher="frozen", iterations=12, batch_size=5, learning_rate=1e-2)
    records, _ = finished(models, examples, training, run)
    assert records[-1].loss < 0.5 * records[0].loss


def test_a_record_tells_what_happened(denoiser: Denoiser, examples: Examples, run: Run) -> None:
    first, *_ = train(denoiser, examples, TINY, run)
    assert first.loss == pytest.approx(
        sum(s**2 * gap / 4 for s, gap in zip((1, 0.9, 0.75, 0.5), first.gaps.values(), strict=True)), rel=1e-5
    )
    assert point(first).keys() == {
        "loss", "gap_1", "gap_2", "gap_3", "gap_4", "gradient_norm", "learning_rate", "ema_distance",
    }  # fmt: skip
    assert first.learning_rate == TINY.learning_rate
    assert 0 < first.ema_distance < 1
    assert first.gradient_norm > 0


def test_bf16_trains_fp32_masters(models: Any, examples: Examples, run: Run) -> None:
    denoiser = run.family.load_denoiser(models.base)
    records = list(train(denoiser, examples, replace(TINY, precision="bf16", iterations=2), run))
    AcceleratorState._reset_state(reset_partial_state=True)
    exact, _ = finished(models, examples, replace(TINY, iterations=2), replace(run, state=run.state / "fp32"))
    assert {weight.dtype for name, weight in denoiser.network.named_parameters() if "lora" in name} == {torch.float32}
    assert records[0].loss == pytest.approx(exact[0].loss, rel=0.1)
    assert records[0].loss != exact[0].loss


def test_training_goes_on_from_a_parent(models: Any, examples: Examples, run: Run, tmp_path: Path) -> None:
    finished(models, examples, TINY, run)
    child = replace(run, parent=run.state / "adapter", state=tmp_path / "child")
    _, weights = finished(models, examples, TINY, child)
    assert weights != (run.state / "adapter" / FILE).read_bytes()
    again = run.family.load_denoiser(models.base)
    first = next(train(again, examples, replace(TINY, teacher="frozen"), replace(child, state=tmp_path / "other")))
    assert first.loss > 0


def test_pictures_of_two_shapes_train_in_batches_of_their_own(denoiser: Denoiser, examples: Examples, run: Run) -> None:
    wide = tuple(replace(row, id=f"w{row.id}", latents=torch.randn(4, 4, 8)) for row in examples.rows[:2])
    mixed = Examples(examples.rows + wide, "mixed")
    assert len(list(train(denoiser, mixed, TINY, run))) == TINY.iterations


def test_a_context_of_one_token_trains(denoiser: Denoiser, examples: Examples, run: Run) -> None:
    short = tuple(replace(row, student=Context(row.student.tokens[:1])) for row in examples.rows)
    assert len(list(train(denoiser, Examples(short, "short"), TINY, run))) == TINY.iterations
