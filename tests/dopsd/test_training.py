"""The loop: going on equals never stopping, and nothing good is lost."""

from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState

from dopsd.adapter import FILE, save_adapter
from dopsd.checkpoint import Checkpoint
from dopsd.examples import Examples
from dopsd.family import Context, Denoiser
from dopsd.recipe import Training
from dopsd.training import Record, Run, identity, train

TINY = Training(rank=4, alpha=4, iterations=4, batch_size=2, learning_rate=1e-3, precision="fp32", checkpoint_every=2)


def finished(models: Any, examples: Examples, training: Training, run: Run) -> tuple[list[Record], bytes]:
    """Train to the end on a fresh network; return what was told and the bytes of the adapter."""
    denoiser = run.family.load_denoiser(models.base)
    records = list(train(denoiser, examples, training, run))
    return records, save_adapter(denoiser.network, run.state / "adapter", run.family.pipeline).read_bytes()


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


def test_a_checkpoint_tells_where_it_stands(denoiser: Denoiser, examples: Examples, run: Run) -> None:
    checkpoint = Checkpoint(run.state, identity(TINY, run, examples.digest))
    told = [checkpoint.position for _ in train(denoiser, examples, TINY, run)]
    assert told == [0, 0, 2, 2]
    assert checkpoint.position == 4


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


def test_a_damaged_checkpoint_is_named(models: Any, examples: Examples, run: Run) -> None:
    finished(models, examples, TINY, run)
    path = next(run.state.glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path.name} is damaged.*delete it"):
        finished(models, examples, TINY, run)
    path.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=f"{path.name} is damaged.*delete it"):
        finished(models, examples, TINY, run)


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
    assert Checkpoint(run.state, identity(TINY, run, examples.digest)).position == 2


def test_the_student_comes_nearer_to_a_frozen_teacher(models: Any, examples: Examples, run: Run) -> None:
    training = replace(TINY, teacher="frozen", iterations=12, batch_size=5, learning_rate=1e-2)
    records, _ = finished(models, examples, training, run)
    assert records[-1].loss < 0.5 * records[0].loss


def test_a_record_tells_what_happened(denoiser: Denoiser, examples: Examples, run: Run) -> None:
    first, *_ = train(denoiser, examples, TINY, run)
    assert first.loss == pytest.approx(
        sum(s**2 * gap / 4 for s, gap in zip((1, 0.9, 0.75, 0.5), first.gaps.values(), strict=True)), rel=1e-5
    )
    assert asdict(first).keys() == {"step", "loss", "gaps", "gradient_norm", "learning_rate", "ema_distance"}
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
