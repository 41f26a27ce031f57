"""The stage register on a real registry: a version with its whole lineage, or a refusal that is written down."""

import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dopsd.gate import CHECKS
from tasks import registry, runner
from tasks.folders import read_json, sha256_of_folder, write_json
from tasks.lineage import WEIGHTS, Lineage
from tasks.pipeline import stage
from tasks.tracking import connect
from tests.fake_workspace import FakeWorkspace


@pytest.fixture
def workspace(store_root: Path) -> FakeWorkspace:
    """A workspace whose stages are done up to the scores of a good adapter, in a git repository."""
    made, data = FakeWorkspace.at(store_root), store_root / "data"
    for folder in ("images", "captions", "embeddings"):
        write_json(data / folder / "manifest.json", {"counts": {"images": 10}})
    (data / "adapter").mkdir()
    save_file({"transformer.x.lora_A.weight": torch.ones(2, 2)}, data / "adapter" / WEIGHTS)
    (data / "adapter" / "curves.csv").write_text("step,loss\n0,1.0\n1,0.5\n")
    write_json(data / "training_run.json", {"mlflow_run_id": "f" * 32})
    write_json(data / "probe" / "probe.json", {"is_teacher_better": True})
    (data / "scores").mkdir()
    for folder in ("probe", "scores"):
        Image.new("RGB", (8, 8)).save(data / folder / "grid.png")
    score(made, likeness=-0.2)
    (store_root / "constraints.txt").write_text("torch==2.13.0\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (store_root / ".gitignore").write_text("/data/\n/runs/\n/mlflow.db*\n/mlruns/\n")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"]):
        subprocess.run([*git, *words], cwd=store_root, check=True)
    return made


def score(workspace: FakeWorkspace, *, likeness: float) -> None:
    """Write scores in which likeness falls by so much against the base and nothing else changes."""
    means = {check.metric: likeness if check.name == "likeness" else 0.0 for check in CHECKS}
    rows = {key: {"mean": mean, "low": mean - 1e-4, "high": mean + 1e-4, "count": 9} for key, mean in means.items()}
    models = {"base": rows, "adapter": rows}
    write_json(workspace.root / "data/scores/scores.json", {"models": models, "differences": {"base": rows}})


def registered(workspace: FakeWorkspace) -> dict[str, Any]:
    runner.run(stage("register"), workspace.root)
    found: dict[str, Any] = read_json(workspace.root / "data/version/version.json")
    return found


def test_a_better_adapter_becomes_champion_with_its_whole_lineage(workspace: FakeWorkspace) -> None:
    found = registered(workspace)
    assert (found["version"], found["verdict"]) == ("v1", "PROMOTE")
    assert registry.named("dopsd", "champion") == "v1"
    lineage = found["lineage"]
    assert set(lineage) == {field.name for field in fields(Lineage)}
    assert [name for name, value in lineage.items() if value is None] == ["dvc_lock"]  # no stage ran under DVC here
    assert lineage["is_git_clean"] is True
    assert len(lineage["git_commit"]) == 40
    assert len(lineage["dataset"]) == 36
    assert lineage["base"].startswith("base@")
    run = connect().get_run(found["mlflow_run_id"])
    assert [point.value for point in connect().get_metric_history(run.info.run_id, "loss")] == [1.0, 0.5]
    assert [row.dataset.digest for row in run.inputs.dataset_inputs] == [lineage["dataset"]]
    assert run.data.metrics["scores/adapter/concept/dino_d"] == -0.2
    assert {Path(row.path).name.split("+")[0] for row in connect().list_artifacts(run.info.run_id, "images")} == {
        "probe", "scores",
    }  # fmt: skip
    logged = connect().search_logged_models(
        [run.info.experiment_id], datasets=[{"dataset_name": "images", "dataset_digest": lineage["dataset"]}]
    )
    assert [model.model_id for model in logged] == [registry.model_id("dopsd", "v1")]


def test_registering_again_gives_the_same_version_and_the_same_bytes(workspace: FakeWorkspace) -> None:
    registered(workspace)
    run_id = connect().search_runs(["1"])[0].info.run_id
    write_json(workspace.root / "data/training_run.json", {"mlflow_run_id": run_id})
    found, before = registered(workspace), sha256_of_folder(workspace.root / "data/version")
    registered(workspace)
    assert sha256_of_folder(workspace.root / "data/version") == before
    assert len(connect().search_model_versions("name='dopsd'")) == 1
    assert len(connect().list_artifacts(found["mlflow_run_id"], "images")) == 4  # two pictures, each with a small copy


def test_a_worse_adapter_is_refused_in_writing_and_the_champion_stays(workspace: FakeWorkspace) -> None:
    registered(workspace)
    save_file({"transformer.x.lora_A.weight": torch.zeros(2, 2)}, workspace.root / "data/adapter" / WEIGHTS)
    score(workspace, likeness=0.2)
    found = registered(workspace)
    assert (found["version"], found["verdict"]) == ("v2", "REJECT")
    assert any("likeness failed against base" in reason["sentence"] for reason in found["reasons"])
    assert registry.named("dopsd", "champion") == "v1"
    assert connect().get_model_version("dopsd", "2").tags["verdict"] == "REJECT"


def test_a_weak_teacher_that_was_accepted_is_on_record(workspace: FakeWorkspace) -> None:
    write_json(workspace.root / "data/probe/probe.json", {"is_teacher_better": False})
    assert registered(workspace)["lineage"]["is_weak_teacher_accepted"] is True


def test_outside_of_git_the_commit_is_unknown_and_that_is_said(workspace: FakeWorkspace) -> None:
    shutil.rmtree(workspace.root / ".git")
    assert registered(workspace)["lineage"]["git_commit"] is None
