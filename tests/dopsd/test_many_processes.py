"""A batch that processes share, or that is walked back in parts, teaches what it teaches one process at once."""

import csv
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dopsd.checkpoints.checkpoint import Checkpoint
from dopsd.curves import Curves, point
from dopsd.dataset.examples import Examples, save_example
from dopsd.family import Context
from dopsd.footprint.parts import InParts
from dopsd.methods.sft import noise_levels
from dopsd.objective import Scene, Term
from dopsd.processes import companions, ranks
from dopsd.processes.companions import accompanied
from dopsd.recipe import Training, decisive
from dopsd.run import Run
from dopsd.training import Record, train
from dopsd.tuning import main
from dopsd.weights.adapter import save_adapter
from dopsd.weights.trained import FILE
from tests.processes import FORK, among

TINY = Training(
    rank=4, alpha=4, iterations=4, batch_size=4, learning_rate=1e-3, precision="fp32", checkpoint_every=2,
    sample_every=0, num_samples=1, num_steps=2,
)  # fmt: skip
CLOSE = {"rel": 1e-4}
"""Sums of fp32 numbers in another order differ by some 1e-7 of their size; Adam divides by their roots."""


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let companions be forks, which need not import everything again."""
    monkeypatch.setattr(companions, "get_context", lambda _: FORK)


@pytest.fixture
def worded(examples: Examples) -> Examples:
    """Give every example a caption in plain words."""
    return replace(examples, rows=tuple(replace(row, plain=Context(row.student.tokens[1:])) for row in examples))


def trained(models: Any, examples: Examples, training: Training, run: Run, ended_at: int | None = None) -> list[Record]:
    """Train on a fresh network; every process keeps its curves, and the adapter, under its own name."""
    folder = run.state / f"of-{ranks.rank()}"
    denoiser, curves, records = run.family.load_denoiser(models.base), Curves(folder / "curves.jsonl"), []
    for record in train(denoiser, examples, training, run):
        curves.add(record.step, point(record))
        records.append(record)
        if record.step == ended_at and ranks.rank() == 1:
            os.kill(os.getpid(), signal.SIGTERM)
    save_adapter(denoiser.network, folder, run.family.pipeline)
    return records


def curve(run: Run, rank: int = 0) -> list[dict[str, float]]:
    """Read what a process was told, iteration by iteration."""
    text = Curves(run.state / f"of-{rank}" / "curves.jsonl").csv(TINY.iterations)
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(text.splitlines())]


def learnt(run: Run, rank: int = 0) -> torch.Tensor:
    """Read the adapter of a process as one vector."""
    weights = load_file(run.state / f"of-{rank}" / FILE)
    return torch.cat([weights[key].flatten() for key in sorted(weights)])


def test_two_processes_learn_what_one_learns_and_one_goes_on_where_they_ended(
    models: Any, examples: Examples, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    alone = replace(run, state=run.state / "alone")
    trained(models, examples, TINY, alone)
    assert among(2, trained, models, examples, replace(TINY, iterations=2), run) == [0, 0]
    assert curve(run) == curve(run, rank=1)
    assert torch.equal(learnt(run), learnt(run, rank=1))
    assert [record.step for record in trained(models, examples, TINY, run)] == [2, 3]
    assert "is of 2 processes, 1 go on" in caplog.text
    for one, shared in zip(curve(alone), curve(run), strict=True):
        assert shared == pytest.approx(one, **CLOSE)


def late(models: Any, examples: Examples, training: Training, run: Run) -> None:
    """Train, and let the second process look for states when the first has long looked."""
    restored = Checkpoint.restore_
    if ranks.rank():
        Checkpoint.restore_ = lambda *about: time.sleep(0.5) or restored(*about)  # type: ignore[method-assign]
    trained(models, examples, training, run)


def test_what_a_guard_saves_at_the_beginning_is_no_state_that_another_process_goes_on_from(
    models: Any, examples: Examples, run: Run
) -> None:
    assert among(2, late, models, examples, replace(TINY, stop_early=2), run) == [0, 0]
    assert torch.equal(learnt(run), learnt(run, rank=1))


def test_two_processes_draw_what_one_draws_where_sizes_differ(models: Any, of_two_sizes: Examples, run: Run) -> None:
    alone, sft = replace(run, state=run.state / "alone"), replace(TINY, method="sft")
    trained(models, of_two_sizes, sft, alone)
    assert among(2, trained, models, of_two_sizes, sft, run) == [0, 0]
    for one, shared in zip(curve(alone), curve(run), strict=True):
        assert shared == pytest.approx(one, **CLOSE)


def test_two_processes_are_two_parts_bit_for_bit(models: Any, examples: Examples, run: Run) -> None:
    once = replace(TINY, method="sft-teacher", iterations=2)  # one term an iteration: the same two gradients are added
    in_parts = replace(run, state=run.state / "in-parts")
    trained(models, examples, replace(once, accumulate=2), in_parts)
    assert among(2, trained, models, examples, once, run) == [0, 0]
    assert torch.equal(learnt(run), learnt(in_parts))
    assert curve(run) == curve(in_parts)


@pytest.mark.parametrize("method", ["dopsd", "pso"])
def test_a_batch_in_parts_is_the_batch(models: Any, worded: Examples, run: Run, method: Any) -> None:
    at_once = replace(TINY, method=method, iterations=1, batch_size=5)
    (whole,) = trained(models, worded, at_once, replace(run, state=run.state / "whole"))
    (parted,) = trained(models, worded, replace(at_once, accumulate=3), run)
    assert point(parted) == pytest.approx(point(whole), **CLOSE)


def test_one_that_is_asked_to_end_lets_all_save_and_end(models: Any, examples: Examples, run: Run) -> None:
    long = replace(TINY, method="sft", checkpoint_every=99)
    assert among(2, trained, models, examples, long, run, 2) == [75, 75]
    assert [path.name for path in run.state.glob("*/after-*")] == ["after-00000003.safetensors"]
    assert [record.step for record in trained(models, examples, long, run)] == [3]


@pytest.mark.parametrize(("count", "accumulate", "size"), [(1, 1, 4), (2, 1, 5), (3, 2, 7), (4, 1, 4), (1, 5, 5)])
def test_every_row_is_somebodys_and_draws_what_it_would_draw_in_the_whole(
    monkeypatch: pytest.MonkeyPatch, denoiser: Any, count: int, accumulate: int, size: int
) -> None:
    scene = Scene([], [], torch.zeros(size, 1, 1, 1), torch.arange(float(size)).view(-1, 1, 1, 1), seed=3)
    seen: list[Scene] = []

    class Seeing:
        """A method that notes what it is asked about."""

        def terms(self, *_: object) -> Any:
            """Take the mean over rows."""
            seen.append(_[-1])
            yield Term(seen[-1].latents.mean(), seen[-1].latents.mean(), "row")

    monkeypatch.setenv("WORLD_SIZE", str(count))
    totals = []
    for rank in range(count):
        monkeypatch.setenv("RANK", str(rank))
        totals += [term.loss for term in InParts(Seeing(), accumulate).terms(denoiser, None, scene)]
    assert torch.equal(torch.cat([part.latents for part in seen]), scene.latents)
    assert torch.equal(torch.cat([noise_levels(denoiser, part) for part in seen]), noise_levels(denoiser, scene))
    assert sum(totals) == pytest.approx(scene.latents.mean())
    assert len(totals) == count * accumulate


def test_companions_come_and_go_with_the_first(
    models: Any, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for example in examples:
        save_example(example, Path("data/embeddings/entries") / f"{example.id}.safetensors")
    Path("models").mkdir()
    Path("models/tiny-z-image").symlink_to(models.base)
    asked = (
        "python -m dopsd.tuning --entries data/embeddings/entries --base models/tiny-z-image --out tuned --processes 2"
    )
    for out in ("tuned", "alone"):
        said = asked if out == "tuned" else asked.replace("tuned --processes 2", "alone")
        assert main([*said.split()[3:], "--iterations", "2", "--sample-every", "0"]) == 0
        assert capsys.readouterr().out == f"{out}/{FILE}\n"
        assert not {"RANK", "WORLD_SIZE"} & set(os.environ)
    together, alone = (
        list(csv.DictReader(Path(out, "curves.csv").read_text().splitlines())) for out in ("tuned", "alone")
    )
    for shared, one in zip(together, alone, strict=True):
        assert [*map(float, shared.values())] == pytest.approx([*map(float, one.values())], **CLOSE)


def test_the_first_ends_when_another_fails() -> None:
    def first() -> None:
        """Wait for one that never comes."""
        with accompanied(2, os._exit, 3):
            time.sleep(600)

    child = FORK.Process(target=first)
    child.start()
    child.join()
    assert child.exitcode == 1


def test_how_many_share_a_batch_makes_no_other_run() -> None:
    plain = decisive(asdict(TINY))
    assert decisive(asdict(replace(TINY, processes=2))) == plain
    assert "accumulate" not in plain
    assert decisive(asdict(replace(TINY, accumulate=2)))["accumulate"] == 2
    with pytest.raises(ValueError, match="batch_size is 4, processes is 3 and accumulate 2"):
        replace(TINY, processes=3, accumulate=2)
