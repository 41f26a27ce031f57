"""The benchmark: what it counts is what the training does, and what it refuses it explains."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dopsd.bench import embed
from dopsd.bench.__main__ import main
from dopsd.bench.encoders import encoder_side
from dopsd.bench.machine import matmul_rate, peak_bytes
from dopsd.bench.meter import metered
from dopsd.bench.models import MODELS, model
from dopsd.bench.paper import count
from dopsd.bench.train import Question, measure
from dopsd.families.catalogue import family
from dopsd.placement import CPU, Placement

TINY = {"size": "tiny", "side_px": 32, "rank": 2, "iterations": 1, "warmup": 1}


def rows(answer: dict) -> dict:
    return {(row["method"], row["batch"]): row for row in answer["rows"]}


def test_a_product_of_matrices_costs_two_operations_a_term_and_its_backward_twice_that() -> None:
    layer, x = nn.Linear(5, 7, bias=False), torch.randn(3, 5, requires_grad=True)
    with metered(layer) as forward, torch.no_grad():
        layer(x)
    with metered(layer) as both:
        layer(x).sum().backward()
    assert (forward.flops, both.flops) == (2 * 3 * 5 * 7, 3 * 2 * 3 * 5 * 7)


def test_what_autograd_holds_counts_once_and_weights_do_not() -> None:
    layer, x = nn.Linear(4, 4, bias=False), torch.randn(8, 4, requires_grad=True)
    with metered(layer) as nothing, torch.no_grad():
        layer(x)
    with metered(layer) as one:
        (layer(x).sum() + layer(x).sum()).backward()
    with metered(layer) as in_turn:
        for _ in range(3):
            (layer(x * 2).square()).sum().backward()
    with metered(layer) as together:
        sum(layer(x * 2).square().sum() for _ in range(3)).backward()
    assert (nothing.held_bytes, one.held_bytes) == (0, x.nbytes)
    assert together.held_bytes == 3 * in_turn.held_bytes


def test_backward_a_state_holds_the_same_for_any_number_of_steps_and_one_graph_that_many_times() -> None:
    one = rows(measure(Question("z-image", num_steps=1, methods=("dopsd", "sft"), **TINY)))
    two = rows(measure(Question("z-image", num_steps=2, methods=("dopsd", "naive"), **TINY)))
    assert two["dopsd", 1]["held_gib"] == pytest.approx(one["dopsd", 1]["held_gib"], rel=0.05)
    assert two["naive", 1]["held_gib"] == pytest.approx(2 * one["dopsd", 1]["held_gib"], rel=0.05)
    reading = embed.measure(Question("z-image", methods=(), batches=(1,), size="tiny", side_px=32))["rows"][-1]
    assert reading["kind"] == "all"  # the released code encodes every batch again
    assert two["naive", 1]["tflop"] == pytest.approx(two["dopsd", 1]["tflop"] + reading["tflop"])
    assert two["dopsd", 1]["tflop"] == pytest.approx(2 * one["dopsd", 1]["tflop"])
    # a state asks the teacher, forward alone, and then costs what SFT costs
    assert 1.2 < one["dopsd", 1]["times_sft_flops"] < 2


def test_what_is_counted_on_paper_is_what_runs() -> None:
    asked = Question("flux2-klein-4b", num_steps=2, methods=("dopsd",), **TINY)
    ran, counted = rows(measure(asked))["dopsd", 1], rows(count(asked, peak_tflop_s=2))["dopsd", 1]
    assert counted["tflop"] == pytest.approx(ran["tflop"], rel=1e-6)
    assert counted["floor_seconds"] == counted["tflop"] / 2


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"z-image"}))
def test_every_model_is_measured_at_every_batch_and_told_as_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"train --family {name} --size tiny --side 32 --rank 2 --iterations 1 --num-steps 1"
    assert main([*command.split(), "--methods", "sft", "--batch", "1,2", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(rows(answer)) == [("sft", 1), ("sft", 2)]
    assert rows(answer)["sft", 2]["tflop"] == pytest.approx(rows(answer)["sft", 1]["tflop"])
    assert {"torch", "diffusers", "transformers", "peft", "accelerate"} <= set(answer["versions"])
    assert min(row["seconds"] * row["peak_gib"] * row["share_of_peak"] for row in answer["rows"]) > 0


@pytest.mark.parametrize("name", ["z-image", "flux2-klein-4b"])
def test_reading_is_timed_kind_by_kind_and_together(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"embed --family {name} --size tiny --side 32 --batch 2 --iterations 1 --json".split()) == 0
    *kinds, together = json.loads(capsys.readouterr().out)["rows"]
    assert [row["kind"] for row in (*kinds, together)] == ["student", "teacher", "latents", "all"]
    assert together["seconds"] == pytest.approx(sum(row["seconds"] for row in kinds))
    assert together["images_a_second"] == pytest.approx(1 / together["seconds"])
    student, teacher, latents = (row["tflop"] for row in kinds)
    assert (teacher > student > 0, latents > 0) == (True, True)


@pytest.mark.parametrize("name", ["z-image", "flux2-klein-4b"])
def test_drawing_is_timed_in_its_steps_and_its_decoding(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"sample --family {name} --size tiny --side 32 --iterations 1 --num-steps 2 --json".split()) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["seconds"] == pytest.approx(row["steps_seconds"] + row["decode_seconds"])
    about = model(name)
    denoiser, (example,) = about.denoiser(about.network("tiny", CPU)), about.examples("tiny", 32, count=1)
    with metered(denoiser.network) as step, torch.no_grad():
        denoiser.velocity(example.latents[None], torch.tensor(1.0), [example.student])
    assert row["tflop"] == pytest.approx(2 * step.flops / 1e12)


def test_a_start_is_imports_the_base_and_one_iteration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--family", "z-image", "--size", "tiny", "--side", "32", "--rank", "2", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    parts = [row[f"{part}_seconds"] for part in ("import", "load", "iteration")]
    assert min(parts) > 0
    assert row["seconds"] == pytest.approx(sum(parts))


@pytest.mark.parametrize(
    ("name", "text", "sight"), [("z-image", 4.022, 0.415), ("flux2-klein-4b", 4.022, 0), ("flux2-klein-9b", 7.568, 0)]
)
def test_encoder_sides_have_the_published_sizes(name: str, text: float, sight: float) -> None:
    encoder: Any = encoder_side(name, "full", Placement(torch.device("meta"), torch.bfloat16))
    seeing = [encoder._seeing.model.model.visual] if sight else []
    for network, billions in zip([encoder._pipeline.text_encoder, *seeing], [text, sight], strict=False):
        assert sum(weight.numel() for weight in network.parameters()) / 1e9 == pytest.approx(billions, abs=5e-3)


@pytest.mark.parametrize(
    ("name", "billions", "modules"),
    [("z-image", 6.155, 238), ("flux2-klein-4b", 3.876, 100), ("flux2-klein-9b", 9.079, 144)],
)
def test_the_full_sizes_are_those_that_are_published(name: str, billions: float, modules: int) -> None:
    about = model(name)
    network = about.network("full", Placement(torch.device("meta"), torch.bfloat16))
    assert sum(weight.numel() for weight in network.parameters()) / 1e9 == pytest.approx(billions, abs=5e-4)
    targets = tuple(f".{target}" for target in family(about.family).lora_targets)
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    assert sum(f".{name}".endswith(targets) for name in linear) == modules


def test_what_cannot_be_measured_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["train", "--family", "z-image"]) == 1
    assert "--size full needs a GPU" in capsys.readouterr().err
    for command in ("train --methods sft", "start"):
        assert main(f"{command} --family z-image --size tiny --batch 2 --side 32 --set processes=2".split()) == 1
        assert "`bench memory` tells what each of several would hold" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no 'pso' to measure; choose some of dopsd, naive, sft"):
        Question("z-image", "tiny", methods=("pso",))
    with pytest.raises(ValueError, match="a picture of 1000 pixels a side: give a multiple of 16"):
        Question("z-image", "full", side_px=1000)
    with pytest.raises(ValueError, match="--num-steps and --rank: give numbers >= 1"):
        Question("z-image", "tiny", num_steps=0)
    with pytest.raises(ValueError, match="--family sdxl: choose one of z-image"):
        Question("sdxl", "full")


def test_memory_that_was_taken_is_seen(tmp_path: Path) -> None:
    assert matmul_rate(CPU) > 0
    peak = peak_bytes(CPU)
    before = peak()
    torch.ones(64 << 20, dtype=torch.uint8)
    assert peak() - before > 32 << 20
