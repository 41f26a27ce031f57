"""Versions in a real MLflow registry: entered once, with their lineage; only a promotion moves the champion."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import mlflow.diffusers
import pytest
import torch
from safetensors.torch import save_file

from dopsd.gate import Decision, Verdict
from tasks import registry
from tasks.folders import sha256_of_file
from tasks.lineage import WEIGHTS, Lineage
from tasks.params import parse, resolved
from tasks.tracking import connect, new_run
from tests.fake_workspace import PARAMS

DIGEST = "0" * 32 + ".dir"
RECORD = Lineage(
    git_commit="c" * 40, is_git_clean=True, dataset=DIGEST, num_images=10, captions=DIGEST, embeddings=DIGEST,
    base=f"base@{DIGEST}", models={"base": f"base@{DIGEST}"}, parent="base", params=resolved(parse(PARAMS)),
    environment_lock="e" * 64, dvc_lock="d" * 64, adapter="", is_weak_teacher_accepted=False, upstream="fresh",
    scores={"models": {"base": {"concept/dino_d@x": {"mean": 0.5, "low": 0.4, "high": 0.6}}}, "differences": {}},
)  # fmt: skip

Enter = Callable[[float], str]


@pytest.fixture
def enter(store_root: Path) -> Enter:
    """Enter an adapter made of one number; gives its version."""
    run_id = new_run(connect(), parse(PARAMS))

    def one(number: float) -> str:
        folder = store_root / f"adapter-{number}"
        folder.mkdir(exist_ok=True)
        save_file({"transformer.x.lora_A.weight": torch.full((2, 2), number)}, folder / WEIGHTS)
        return registry.enter("dopsd", replace(RECORD, adapter=sha256_of_file(folder / WEIGHTS)), folder, run_id)

    return one


def decide(version: str, verdict: Verdict) -> None:
    registry.decide("dopsd", version, Decision(verdict, ()))


def test_an_adapter_is_entered_once(enter: Enter) -> None:
    assert [enter(1), enter(2), enter(1), enter(2)] == ["v1", "v2", "v1", "v2"]
    assert len(connect().search_model_versions("name='dopsd'")) == 2


def test_a_version_carries_the_whole_record(enter: Enter) -> None:
    tags = connect().get_model_version("dopsd", enter(1)[1:]).tags
    assert {field.name for field in fields(Lineage)} <= set(tags)
    assert tags["dataset"] == DIGEST
    assert json.loads(tags["is_git_clean"]) is True
    assert json.loads(tags["params"])["train"]["learning_rate"] == 0.001
    assert json.loads(tags["scores"])["base"]["concept/dino_d"] == [0.5, 0.4, 0.6]


def test_only_a_promotion_moves_the_champion(enter: Enter) -> None:
    decide(enter(1), Verdict.PROMOTE)
    decide(enter(2), Verdict.REJECT)
    assert registry.named("dopsd", "champion") == "v1"
    decide(enter(3), Verdict.HOLD)
    assert registry.named("dopsd", "champion") == "v1"
    assert registry.named("dopsd", "challenger") == "v3"
    decide(enter(4), Verdict.PROMOTE)
    assert registry.named("dopsd", "champion") == "v4"


def test_the_verdict_stands_beside_the_version_with_its_reasons(enter: Enter) -> None:
    decide(enter(1), Verdict.REJECT)
    kept = connect().get_model_version("dopsd", "1")
    assert kept.tags["verdict"] == "REJECT"
    assert kept.description and kept.description.startswith("REJECT")


def test_registering_an_old_adapter_again_does_not_undo_a_later_champion(enter: Enter) -> None:
    decide(enter(1), Verdict.PROMOTE)
    decide(enter(2), Verdict.PROMOTE)
    decide(enter(1), Verdict.PROMOTE)
    assert registry.named("dopsd", "champion") == "v2"


def test_a_verdict_that_changes_under_new_margins_counts(enter: Enter) -> None:
    decide(enter(1), Verdict.HOLD)
    decide(enter(1), Verdict.PROMOTE)
    assert registry.named("dopsd", "champion") == "v1"


def test_the_weights_come_back_as_they_were(enter: Enter, store_root: Path) -> None:
    version = enter(1)
    folder = registry.fetch("dopsd", version, store_root)
    assert folder == store_root / "runs/parents/v1"
    assert sha256_of_file(folder / WEIGHTS) == sha256_of_file(store_root / "adapter-1" / WEIGHTS)


def test_weights_that_were_damaged_are_told(enter: Enter, store_root: Path) -> None:
    folder = registry.fetch("dopsd", enter(1), store_root)
    (folder / WEIGHTS).write_bytes(b"x")
    with pytest.raises(ValueError, match="is not the adapter of v1: delete"):
        registry.fetch("dopsd", "v1", store_root)


def test_mlflow_reads_the_model_and_knows_its_base(enter: Enter) -> None:
    model = mlflow.diffusers.load_model(f"models:/{registry.model_id('dopsd', enter(1))}")
    assert model.base_model == "./models/base"
    assert (Path(model.adapter_path) / WEIGHTS).is_file()


@pytest.mark.parametrize(
    ("version", "mend"),
    [("champion", "`dopsd run` registers one"), ("v7", "it is champion, challenger, v1"), ("best", "it is champion")],
)
def test_a_version_that_is_not_there_is_told(enter: Enter, version: str, mend: str) -> None:
    enter(1)
    with pytest.raises(ValueError, match=f"the registry has no {version} of dopsd: {mend}"):
        registry.named("dopsd", version)
