"""Versions in a real MLflow registry: entered once, with their lineage."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import mlflow.diffusers
import pytest
import torch
from safetensors.torch import save_file

from dopsd.weights.trained import FILE, FOLDER
from tasks.folders import sha256_of_file, sha256_of_folder
from tasks.params import parse
from tasks.tracking import connect, new_run
from tasks.versions import aliases, registry, run_record
from tasks.versions.lineage import Lineage, digest_of_trained
from tests.fake_workspace import PARAMS
from tests.versions import DIGEST, RECORD, entered

Enter = Callable[[float], str]


@pytest.fixture
def enter(store_root: Path) -> Enter:
    """Enter an adapter made of one number; gives its version."""
    run_id = new_run(connect(), parse(PARAMS))
    return lambda number: entered(store_root, number, run_id)


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


def test_scores_of_every_metric_there_is_fit_into_a_tag(enter: Enter) -> None:
    row = {"mean": -0.1234, "low": -0.1234, "high": 0.1234}
    rows = {f"retention/geneval_position_{number}@judge": row for number in range(50)}
    record = replace(RECORD, scores={"models": dict.fromkeys(("base", "parent", "adapter"), rows), "differences": {}})
    registry.tag("dopsd", enter(1), "scores", registry.tags(record)["scores"])
    assert len(json.loads(registry.versions("dopsd")["v1"]["scores"])["parent"]) == 50


def test_a_run_keeps_texts_beside_its_version(enter: Enter) -> None:
    version = enter(1)
    assert run_record.read("dopsd", version, "marks.json") is None
    run_record.keep("dopsd", version, {"marks.json": "{}", "notes.txt": "звезда"})
    assert run_record.read("dopsd", version, "notes.txt") == "звезда"


def test_a_page_that_is_too_long_for_mlflow_is_whole_in_the_record(enter: Enter) -> None:
    page = "".join(f"line {number}\n" for number in range(2000))
    registry.describe("dopsd", enter(1), page)
    shown = connect().get_model_version("dopsd", "1").description
    assert shown and len(shown) <= 5000
    assert shown.endswith("record/page.md of the run.")
    assert run_record.read("dopsd", "v1", "page.md") == page


def test_aliases_are_moved_together_with_the_mark_of_who_moved_them(enter: Enter) -> None:
    enter(1), enter(2)
    assert aliases.aliases("dopsd") == {"champion": None, "challenger": None}
    aliases.move("dopsd", "v2", "v1", "a" * 64)
    assert aliases.aliases("dopsd") == {"champion": "v2", "challenger": "v1"}
    aliases.move("dopsd", "v1", None, "b" * 64)
    assert aliases.aliases("dopsd") == {"champion": "v1", "challenger": None}
    assert aliases.mark("dopsd") == "b" * 64


def test_the_weights_come_back_as_they_were(enter: Enter, store_root: Path) -> None:
    version = enter(1)
    folder = registry.fetch("dopsd", version, store_root)
    assert folder == store_root / "runs/parents/v1"
    assert sha256_of_file(folder / FILE) == sha256_of_file(store_root / "adapter-1" / FILE)


def test_all_weights_come_back_as_they_were(store_root: Path) -> None:
    trained = store_root / "trained"
    (trained / FOLDER).mkdir(parents=True)
    save_file({"x.weight": torch.ones(3)}, trained / FOLDER / "diffusion_pytorch_model.safetensors")
    (trained / FOLDER / "config.json").write_text("{}")
    params = {**RECORD.params, "train": {**RECORD.params["train"], "weights": "full"}}
    record = replace(RECORD, params=params, adapter=digest_of_trained(trained))
    version = registry.enter("dopsd", record, trained, new_run(connect(), parse(PARAMS)))
    folder = registry.fetch("dopsd", version, store_root)
    assert sha256_of_folder(folder) == sha256_of_folder(trained)
    assert registry.digest_of_weights("dopsd", version) == record.adapter


def test_weights_that_were_damaged_are_told(enter: Enter, store_root: Path) -> None:
    folder = registry.fetch("dopsd", enter(1), store_root)
    (folder / FILE).write_bytes(b"x")
    with pytest.raises(ValueError, match="does not hold the weights of v1: delete"):
        registry.fetch("dopsd", "v1", store_root)


def test_mlflow_reads_the_model_and_knows_its_base(enter: Enter) -> None:
    model = mlflow.diffusers.load_model(f"models:/{registry.model_id('dopsd', enter(1))}")
    assert model.base_model == "./models/base"
    assert (Path(model.adapter_path) / FILE).is_file()


@pytest.mark.parametrize(
    ("version", "mend"),
    [("champion", "`dopsd run` registers one"), ("v7", "it is champion, challenger, v2"), ("best", "it is champion")],
)
def test_a_version_that_is_not_there_is_told(enter: Enter, version: str, mend: str) -> None:
    enter(1)
    with pytest.raises(ValueError, match=f"the registry has no {version} of dopsd: {mend}"):
        registry.named("dopsd", version)
