"""All weights divided among processes learn what they learn in one piece, and any number of processes goes on."""

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from diffusers import ZImagePipeline, ZImageTransformer2DModel
from safetensors.torch import load_file

from dopsd.bench.memory import gathered
from dopsd.blocks import blocks
from dopsd.checkpoints.checkpoint import Checkpoint
from dopsd.curves import Curves, point
from dopsd.dataset.examples import Example, Examples, save_example
from dopsd.families.catalogue import family
from dopsd.family import Context, Denoiser
from dopsd.footprint.plan import lasting
from dopsd.processes import companions, ranks
from dopsd.processes.sharding import own, shard_
from dopsd.recipe import Training, decisive
from dopsd.run import Run, identity
from dopsd.sampling import noise, walk
from dopsd.training import train
from dopsd.tuning import main
from dopsd.weights.trained import FOLDER
from dopsd.weights.whole import attach_whole_, save_whole
from tests.processes import FORK, among

TINY = Training(
    weights="full", sharded=True, iterations=4, batch_size=3, learning_rate=1e-3, precision="fp32", checkpoint_every=2,
    sample_every=0, num_samples=1, num_steps=2, ema_decay=0.9,
)  # fmt: skip
CLOSE = {"rel": 1e-3}
"""Gradients begin some hundred times as long as the bound that they are cut to; sums in another order show."""


@pytest.fixture
def worded(examples: Examples) -> Examples:
    """Give every example a caption in plain words."""
    return replace(examples, rows=tuple(replace(row, plain=Context(row.student.tokens[1:])) for row in examples))


def trained(models: Any, examples: Examples, training: Training, run: Run) -> None:
    """Train a fresh network; the first process keeps it, and what it was told."""
    denoiser = run.family.load_denoiser(models.base)
    records = list(train(denoiser, examples, training, run))
    if not ranks.rank():
        curves = Curves(run.state / "curves.jsonl")
        for record in records:
            curves.add(record.step, point(record))
        save_whole(denoiser.network, run.state)


def curve(run: Run) -> list[dict[str, float]]:
    """Read what the first process was told, iteration by iteration."""
    rows = csv.DictReader(Curves(run.state / "curves.jsonl").csv(TINY.iterations).splitlines())
    return [{name: float(value) for name, value in row.items()} for row in rows]


def learnt(run: Run) -> torch.Tensor:
    """Read all weights as one vector."""
    (path,) = (run.state / FOLDER).glob("*.safetensors")
    weights = load_file(path)
    return torch.cat([weights[key].flatten() for key in sorted(weights)])


def newest(run: Run, examples: Examples, training: Training = TINY) -> Path:
    """Find the folder of the last state."""
    return max(Checkpoint(run.state, identity(training, run, examples.digest)).folder.glob("after-*"))


@pytest.mark.parametrize(
    "change", [{}, {"method": "pso"}, {"method": "sft-teacher", "checkpointing": "full"}, {"teacher": "frozen"}]
)
def test_two_processes_learn_divided_what_one_learns_whole(
    models: Any, worded: Examples, run: Run, change: dict[str, Any]
) -> None:
    training, alone = replace(TINY, **change), replace(run, state=run.state / "alone")
    trained(models, worded, training, alone)
    assert among(2, trained, models, worded, training, run) == [0, 0]
    for one, shared in zip(curve(alone), curve(run), strict=True):
        assert shared == pytest.approx(one, **CLOSE)
    assert torch.allclose(learnt(run), learnt(alone), atol=2e-4)


@pytest.fixture
def shown() -> Examples:
    """Make examples whose teacher is shown the picture as latents."""
    rng = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=rng)

    rows = (
        Example(f"e{n}", Context(drawn(7, 96)), Context(drawn(7, 96), drawn(16, 3, 3)), drawn(16, 3, 3))
        for n in range(3)
    )
    return Examples(tuple(rows), "digest-of-three")


def test_flux2_klein_learns_divided_what_it_learns_whole(models: Any, shown: Examples, tmp_path: Path) -> None:
    kleins, of = replace(models, base=models.klein), family("flux2-klein")
    alone, shared = (Run(of, "small-klein@0", tmp_path / name) for name in ("alone", "shared"))
    trained(kleins, shown, TINY, alone)
    assert among(2, trained, kleins, shown, TINY, shared) == [0, 0]
    for one, two in zip(curve(alone), curve(shared), strict=True):
        assert two == pytest.approx(one, **CLOSE)


def asked(models: Any, rows: Examples, expected: Any) -> None:
    """Ask a divided FLUX.2-klein about contexts of several lengths."""
    Accelerator(cpu=True)
    denoiser = family("flux2-klein").load_denoiser(models.klein)
    shard_(denoiser.network)
    contexts = [rows.rows[0].student, Context(rows.rows[1].student.tokens[1:])]
    with expected:
        denoiser.velocity(noise([1, 2], (16, 3, 3)), torch.tensor(1.0), contexts)


def test_what_one_process_would_walk_twice_is_refused_where_they_walk_together(models: Any, shown: Examples) -> None:
    refused = pytest.raises(
        ValueError, match=r"of shapes \[\(6,\), \(7,\)\] in a batch: embed all alike, or unset sharded"
    )
    assert among(2, asked, models, shown, refused) == [0, 0]


def test_divided_resuming_equals_never_stopping(models: Any, examples: Examples, run: Run) -> None:
    whole = replace(run, state=run.state / "whole")
    assert among(2, trained, models, examples, TINY, whole) == [0, 0]
    for iterations in (2, 4):
        assert among(2, trained, models, examples, replace(TINY, iterations=iterations), run) == [0, 0]
    assert torch.equal(learnt(run), learnt(whole))
    assert curve(run) == curve(whole)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_any_number_goes_on_from_what_any_other_number_saved(
    models: Any, examples: Examples, run: Run, before: int, after: int
) -> None:
    alone, begun = replace(run, state=run.state / "alone"), replace(TINY, iterations=2)
    trained(models, examples, TINY, alone)
    assert among(before, trained, models, examples, begun, run) == [0] * before
    saved = learnt(run)
    assert among(after, trained, models, examples, begun, run) == [0] * after
    assert torch.equal(learnt(run), saved)
    assert among(after, trained, models, examples, TINY, run) == [0] * after
    for one, shared in zip(curve(alone), curve(run), strict=True):
        assert shared == pytest.approx(one, **CLOSE)


@pytest.mark.parametrize("harm", [lambda part: part.unlink(), lambda part: part.write_bytes(part.read_bytes()[:-9])])
def test_a_torn_part_is_told_to_all_and_the_state_before_serves(
    models: Any, examples: Examples, run: Run, harm: Any
) -> None:
    assert among(2, trained, models, examples, TINY, run) == [0, 0]
    wanted, state = learnt(run), newest(run, examples)
    harm(state / "part-00001.safetensors")
    state.with_suffix(".staged").mkdir()  # what a kill left half written
    assert among(2, trained, models, examples, TINY, run) == [0, 0]
    assert torch.equal(learnt(run), wanted)
    assert sorted(path.name for path in state.parent.glob("after-*")) == ["after-00000002", "after-00000004"]
    assert len(list(state.iterdir())) == 2


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_damaged_state_goes_when_as_many_iterations_are_saved_by_another_number(
    models: Any, examples: Examples, run: Run, before: int, after: int
) -> None:
    assert among(before, trained, models, examples, TINY, run) == [0] * before
    state = newest(run, examples)
    for path in [state] if state.is_file() else state.iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    assert among(after, trained, models, examples, TINY, run) == [0] * after
    assert sorted(path.stem for path in state.parent.glob("after-*")) == ["after-00000002", "after-00000004"]
    assert newest(run, examples).is_dir() == (after > 1)


def test_each_process_holds_its_rows_alone(models: Any, examples: Examples, run: Run) -> None:
    assert among(2, trained, models, examples, TINY, run) == [0, 0]
    network = run.family.load_denoiser(models.base).network
    shares = [load_file(part) for part in sorted(newest(run, examples).iterdir())]
    for role in ("student", "teacher", "exp_avg", "exp_avg_sq"):
        for key, weight in network.named_parameters():
            if f"{role}/{key}" in shares[0]:
                first, second = (share[f"{role}/{key}"] for share in shares)
                assert len(first) == -(-len(weight) // 2)
                assert torch.cat([first, second]).shape == weight.shape


def spoken(models: Any, examples: Examples, folder: Path, device: str) -> None:
    """Let the parts of a divided network speak, and write down what they said."""
    Accelerator(cpu=True)
    denoiser = family("z-image").load_denoiser(models.base)
    is_divided = ranks.world_size() > 1
    roles = attach_whole_(denoiser.network, teacher="ema", ema_device=device, has_base=True, is_divided=is_divided)
    for weight in roles.student.values():
        own(weight).mul_(0.5)
    roles.follow_(0.5)

    def answer() -> list[float]:
        """Walk from one noise."""
        with torch.no_grad():
            said = walk(denoiser, [examples.rows[0].student], noise([1], (4, 6, 6)), 2).latents
        return [float(said.norm()), float(said[0, 0, 0, 0])]

    said = {"student": answer()}
    with roles.as_teacher():
        said["teacher"] = answer()
    with roles.as_base():
        said["base"] = answer()
    said |= {"again": answer(), "distance": [roles.distance()]}
    (folder / f"{ranks.world_size()}-{ranks.rank()}").write_text(json.dumps(said))


@pytest.mark.parametrize("device", ["network", "cpu"])
def test_the_parts_of_a_divided_network_speak_with_their_own_weights(
    models: Any, examples: Examples, tmp_path: Path, device: str
) -> None:
    for count in (1, 2):
        assert among(count, spoken, models, examples, tmp_path, device) == [0] * count
    whole, first, second = (json.loads((tmp_path / name).read_text()) for name in ("1-0", "2-0", "2-1"))
    assert first == second
    assert first["again"] == first["student"]
    assert first["distance"] == pytest.approx([0.5])
    for role in ("student", "teacher", "base"):
        assert first[role] == pytest.approx(whole[role], rel=1e-5)
    assert len({tuple(first[role]) for role in ("student", "teacher", "base")}) == 3


def test_the_command_line_divides_and_leaves_a_network_that_a_pipeline_takes(
    models: Any, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companions, "get_context", lambda _: FORK)
    monkeypatch.chdir(tmp_path)
    for example in examples:
        save_example(example, Path("data/embeddings/entries") / f"{example.id}.safetensors")
    Path("models").mkdir()
    Path("models/tiny-z-image").symlink_to(models.base)
    told = "python -m dopsd.tuning --entries data/embeddings/entries --base models/tiny-z-image --out whole --weights full --sharded true --processes 2"  # noqa: E501 (as the page has it)
    assert main(f"{told} --iterations 1 --sample-every 0 --num-steps 2".split()[3:]) == 0
    network = ZImageTransformer2DModel.from_pretrained(Path("whole") / FOLDER)
    assert ZImagePipeline.from_pretrained(models.base, transformer=network).transformer is network


def test_divided_memory_is_what_each_process_holds() -> None:
    whole, divided = (
        {part.name: part.num_bytes for part in lasting(training, frozen_bytes=0, learning=999)}
        for training in (replace(TINY, sharded=False), replace(TINY, processes=3))
    )
    assert divided == {name: num_bytes // 3 for name, num_bytes in whole.items()}


def test_what_is_gathered_at_a_time_is_told(denoiser: Denoiser) -> None:
    network, num_bytes = denoiser.network, 4 * sum(weight.numel() for weight in denoiser.network.parameters())
    assert gathered(network, replace(TINY, processes=1)) == []
    (part,) = gathered(network, replace(TINY, processes=2))
    assert part.num_bytes < 2 * num_bytes
    block = sum(weight.nbytes for weight in next(blocks(network)).parameters())
    outside = num_bytes - sum(weight.nbytes for one in blocks(network) for weight in one.parameters())
    assert part.num_bytes >= 2 * outside + 3 * block


def test_dividing_makes_no_other_run_and_wants_something_to_divide() -> None:
    assert decisive(asdict(TINY)) == decisive(asdict(replace(TINY, sharded=False)))
    with pytest.raises(ValueError, match="sharded divides what learns, and a lora is small: set weights to full"):
        Training(sharded=True)
    with pytest.raises(ValueError, match="sharded gathers weights amid what compile makes one piece"):
        replace(TINY, compile=True)
