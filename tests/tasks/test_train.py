"""The stage that trains: what it trains on, what it leaves, and how it ends when a loss is not finite."""

import csv
import multiprocessing
import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from diffusers import ZImageTransformer2DModel
from workspace import MODELS, Workspace

from dopsd.checkpoints.checkpoint import Checkpoint
from dopsd.curves import Curves
from dopsd.dataset.examples import Example, save_example
from dopsd.families.catalogue import family
from dopsd.family import Context
from dopsd.placement import CPU
from dopsd.processes import companions
from dopsd.tensor_file import read_notes
from dopsd.weights.adapter import load_adapter_, save_adapter
from dopsd.weights.adapter_roles import Shape, attach_
from dopsd.weights.trained import FILE
from tasks.__main__ import main
from tasks.beneath import beneath
from tasks.folders import write_json, write_rows
from tasks.params import load
from tasks.tracking import connect


@pytest.fixture
def embedded(workspace: Workspace, store_root: Path) -> Workspace:
    """Put random embeddings where the stage looks for them, and a probe that found the teacher good."""
    AcceleratorState._reset_state(reset_partial_state=True)
    rng = torch.Generator().manual_seed(0)
    for n in range(3):
        student, teacher, plain = (Context(torch.randn(length, 128, generator=rng)) for length in (9, 20, 8))
        example = Example(f"e{n}", student, teacher, torch.randn((8, 10, 10), generator=rng), plain)
        save_example(example, workspace.root / "data/embeddings/entries" / f"{example.id}.safetensors")
    rows = [{"id": f"e{n}", "caption": f"a [V] on {n}"} for n in range(3)]
    write_rows(workspace.root / "data/embeddings/index.jsonl", rows)
    write_json(workspace.root / "data/probe/probe.json", {"is_teacher_better": True})
    workspace.change("train.iterations", 3)
    workspace.change("train.sample_every", 0)
    return workspace


def network(folder: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a transformer."""
    found: Any = ZImageTransformer2DModel.from_pretrained(folder, subfolder="transformer")
    return {name: weight.detach() for name, weight in found.named_parameters()}


def test_a_loss_that_is_not_finite_ends_in_one_message_and_keeps_the_last_good_state(
    embedded: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    embedded.change("train.learning_rate", 1e30)
    embedded.change("train.checkpoint_every", 1)
    assert main(["run", "train"]) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    assert len(told) == 1
    assert "iteration 1: loss" in told[0]
    assert "lower train.learning_rate" in told[0]
    states = (embedded.root / "runs/train").glob("*/after-*.safetensors")
    assert [path.stem for path in states] == ["after-00000001"]
    assert "FloatingPointError" in (embedded.root / "runs/train/error.txt").read_text()
    assert not (embedded.root / "data/adapter").exists()


def test_all_weights_are_left_as_a_transformer(embedded: Workspace) -> None:
    embedded.change("train.weights", "full")
    embedded.change("train.method", "sft")
    assert main(["run", "train"]) == 0
    folder = embedded.root / "data" / "adapter"
    learnt, base = network(folder), network(MODELS / "tiny-z-image")
    assert learnt.keys() == base.keys()
    assert any(not torch.equal(learnt[name], base[name]) for name in base)
    assert not (folder / FILE).exists()
    with (folder / "curves.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["0", "1", "2"]


def test_processes_share_the_batch_of_a_project_and_its_first_one_tells_and_writes(
    embedded: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companions, "get_context", lambda _: multiprocessing.get_context("fork"))
    embedded.change("train.method", "sft")
    embedded.change("train.iterations", 2)
    embedded.change("train.processes", 2)
    assert main(["run", "train"]) == 0
    folder = embedded.root / "data" / "adapter"
    with (folder / "curves.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["0", "1"]
    (state,) = (embedded.root / "runs/train").glob("*/after-*.safetensors")
    assert read_notes(state, mend="")["world_size"] == "2"
    assert "processes" not in (folder / "manifest.json").read_text()


def test_what_the_parent_learnt_goes_onto_the_deployed_base(embedded: Workspace) -> None:
    embedded.change("train.weights", "full")
    embedded.change("train.method", "sft-parent")
    embedded.change("train.learning_rate", 1e-3)
    embedded.change("models.undistilled", str(MODELS / "tiny-z-image-parent"))
    assert main(["run", "train"]) == 0
    learnt, base, parent = (
        network(folder)
        for folder in (embedded.root / "data" / "adapter", MODELS / "tiny-z-image", MODELS / "tiny-z-image-parent")
    )
    step = max((learnt[name] - base[name]).abs().max().item() for name in base)
    apart = max((learnt[name] - parent[name]).abs().max().item() for name in base)
    assert 0 < step < 4e-3 < apart


def test_a_dedistillation_adapter_is_beneath_and_is_not_left(embedded: Workspace) -> None:
    line = family("z-image")
    denoiser = line.load_denoiser(MODELS / "tiny-z-image")
    roles = attach_(denoiser.network, Shape(line.lora_targets, 2, 2), teacher="copy", seed=3)
    for weight in roles.student.values():
        weight.data += 0.05
    save_adapter(denoiser.network, embedded.root / "undone", line.pipeline)
    embedded.change("train.method", "sft-adapter")
    embedded.change("models.dedistillation", "undone")
    model = beneath(load(embedded.root), MODELS / "tiny-z-image")
    assert model.name.startswith("tiny-z-image@")
    assert "+undone@" in model.name
    fused = dict(model.load(line, CPU).network.named_parameters())
    bare = network(MODELS / "tiny-z-image")
    assert any(not torch.allclose(fused[name], bare[name]) for name in bare)
    assert main(["run", "train"]) == 0
    other = line.load_denoiser(MODELS / "tiny-z-image").network
    load_adapter_(other, embedded.root / "data" / "adapter", line.pipeline, name="adapter")
    base = {name.replace(".base_layer", ""): weight for name, weight in other.named_parameters()}
    assert all(torch.equal(base[name], weight) for name, weight in bare.items())


@pytest.mark.parametrize(("method", "key"), [("sft-parent", "undistilled"), ("sft-adapter", "dedistillation")])
def test_a_model_that_a_method_needs_is_asked_for(
    embedded: Workspace, capsys: pytest.CaptureFixture[str], method: str, key: str
) -> None:
    embedded.change("train.method", method)
    assert main(["run", "train"]) == 1
    assert f"train.method is {method}, set models.{key}" in capsys.readouterr().err
    embedded.change(f"models.{key}", "nowhere")
    assert main(["run", "train"]) == 1
    assert f"there is no nowhere (models.{key})" in capsys.readouterr().err


def test_training_goes_on_with_every_point_once(embedded: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    embedded.change("train.checkpoint_every", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", stopped)
        with pytest.raises(KeyboardInterrupt):
            main(["run", "train"])
    assert main(["run", "train"]) == 0
    with (embedded.root / "data" / "adapter" / "curves.csv").open() as file:
        interrupted = file.read()
    shutil.rmtree(embedded.root / "runs" / "train")
    assert main(["run", "train"]) == 0
    assert (embedded.root / "data" / "adapter" / "curves.csv").read_text() == interrupted


def pictures(embedded: Workspace) -> set[tuple[str, int]]:
    """List the pictures of the workspace's training run in MLflow, by name and iteration."""
    run_id = embedded.json("data/training_run.json")["mlflow_run_id"]
    names = [Path(artifact.path).name for artifact in connect().list_artifacts(run_id, "images")]
    return {(name, int(step)) for name, _, step, *_ in (re.split("[%+]", name) for name in names)}


def test_student_and_teacher_are_shown_while_they_learn(embedded: Workspace) -> None:
    embedded.change("train.sample_every", 2)
    assert main(["run", "train"]) == 0
    assert pictures(embedded) == {(name, step) for name in ("samples", "trajectory") for step in (0, 2)}
    adapter = (embedded.root / "data/adapter" / FILE).read_bytes()
    shutil.rmtree(embedded.root / "runs/train")
    embedded.change("train.sample_every", 0)
    assert main(["run", "train"]) == 0
    assert pictures(embedded) == set()
    assert (embedded.root / "data/adapter" / FILE).read_bytes() == adapter


def test_a_training_that_is_asked_to_end_says_that_it_is_to_be_run_again(
    embedded: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Curves.add

    def asked(curves: Curves, step: int, point: Mapping[str, float]) -> None:
        add(curves, step, point)
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Curves, "add", asked)
        with pytest.raises(SystemExit) as ended:
            main(["run", "train"])
    assert ended.value.code == 75
    assert [path.stem for path in (embedded.root / "runs/train").glob("*/after-*")] == ["after-00000002"]
    assert main(["run", "train"]) == 0
    assert len((embedded.root / "data/adapter/curves.csv").read_text().splitlines()) == 1 + 3


def test_a_collapse_is_told_everywhere(embedded: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    for key, value in {"method": "sft", "learning_rate": 1.0, "iterations": 9, "stop_early": 1}.items():
        embedded.change(f"train.{key}", value)
    assert main(["run", "train"]) == 0
    manifest = embedded.json("data/adapter/manifest.json")
    done, kept = manifest["counts"]["iterations"], manifest["counts"]["iterations_kept"]
    assert kept == done - 2 < 7
    text = f"stopped after {done} iterations, the weights are those after {kept}"
    assert text in capsys.readouterr().err
    run_id = embedded.json("data/training_run.json")["mlflow_run_id"]
    assert connect().get_run(run_id).data.tags["stopped_early"] == text
    with (embedded.root / "data/adapter/curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == done
    assert max(float(rows[-1][f"strayed_{name}"]) for name in ("curvature", "divergence")) > 1


def test_a_manifest_says_no_word_of_what_changes_no_weight(embedded: Workspace) -> None:
    assert main(["run", "train"]) == 0
    manifest = embedded.json("data/adapter/manifest.json")
    assert manifest["counts"] == {"examples": 3}
    assert not {"sample_every", "checkpoints_kept", "stop_early", "stop_after"} & set(manifest["params"])
