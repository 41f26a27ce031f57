"""The stage register on a real registry: a version with its whole lineage, or a refusal that is written down."""

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tasks import runner
from tasks.ancestry.records import records
from tasks.folders import read_json, sha256_of_folder, write_json
from tasks.pipeline import stage
from tasks.tracking import connect
from tasks.versions import aliases, promotion, registry, run_record
from tasks.versions.lineage import Lineage
from tests.fake_workspace import FakeWorkspace
from tests.registered import commit, images, laid_out, score, train


@pytest.fixture
def workspace(store_root: Path) -> FakeWorkspace:
    """A workspace whose stages are done up to the scores of a good adapter, in a git repository."""
    return laid_out(store_root)


def registered(workspace: FakeWorkspace) -> dict[str, Any]:
    runner.run(stage("register"), workspace.root)
    found: dict[str, Any] = read_json(workspace.root / "data/version/version.json")
    return found


def test_a_better_adapter_becomes_champion_with_its_whole_lineage(workspace: FakeWorkspace) -> None:
    found = registered(workspace)
    assert (found["version"], found["verdict"]) == ("v2", "PROMOTE")
    assert registry.named("dopsd", "champion") == "v2"
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
    assert [model.model_id for model in logged] == [registry.model_id("dopsd", "v2")]


def test_a_version_is_a_commit_and_has_a_page_that_answers(
    workspace: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOPSD_TRIGGER", "schedule nightly")
    registered(workspace)
    workspace.write("code/dopsd/captions.py", "def clean(text):\n    return text\n")
    train(workspace.root, 2)
    workspace.change("train.parent", "v2")
    write_json(workspace.root / "runs/parents/v2/manifest.json", {})
    images(workspace.root, 1, 2, 3)
    run = connect().get_run(registered(workspace)["mlflow_run_id"])
    known = records(workspace.root, "dopsd")
    assert list(known) == ["v2", "v3"]
    version = connect().get_model_version("dopsd", "3")
    assert version.tags["commit"] == known["v3"].commit == run.data.tags["commit"]
    assert (version.tags["trigger"], version.tags["parent"]) == ("schedule nightly", "v2")
    for told in ("+2 -1 against v2", "3 human", "schedule nightly", "not committed", "(v2)", known["v3"].commit):
        assert told in version.description, told
    for name in ("verdict", "grid"):
        assert f"![{name}](get-artifact?run_id={run.info.run_id}&path=record/{name}.png)" in version.description
        assert f"{name}.png" in run_record.names("dopsd", "v3")
    found = connect().search_runs([run.info.experiment_id], "tags.trigger = 'schedule nightly' and tags.parent = 'v2'")
    assert [row.info.run_id for row in found] == [run.info.run_id]
    digest = known["v3"].lineage["dataset"]
    assert len(connect().search_runs([run.info.experiment_id], f"dataset.digest = '{digest}'")) == 1


def test_registering_again_gives_the_same_version_and_the_same_bytes(workspace: FakeWorkspace) -> None:
    registered(workspace)
    run_id = connect().search_runs(["1"])[0].info.run_id
    write_json(workspace.root / "data/training_run.json", {"mlflow_run_id": run_id})
    found, before = registered(workspace), sha256_of_folder(workspace.root / "data/version")
    registered(workspace)
    assert sha256_of_folder(workspace.root / "data/version") == before
    assert len(connect().search_model_versions("name='dopsd'")) == 2  # and the base
    assert len(connect().list_artifacts(found["mlflow_run_id"], "images")) == 4  # two pictures, each with a small copy


def test_what_was_made_first_is_told_though_it_is_registered_again_by_other_code(workspace: FakeWorkspace) -> None:
    registered(workspace)
    first = records(workspace.root, "dopsd")["v2"].lineage["git_commit"]
    workspace.write("code/more.py", "")
    commit(workspace.root)
    assert registered(workspace)["lineage"]["git_commit"] != first
    for file in ("lineage.json", "page.md"):
        assert first in str(run_record.read("dopsd", "v2", file)), file


def test_other_weights_do_not_pass_for_those_of_a_tag_whose_registry_is_gone(
    workspace: FakeWorkspace, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = registered(workspace)["lineage"]["adapter"]
    shutil.copyfile(empty_store, workspace.root / "another.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace.root}/another.db")
    (workspace.root / "ledger.jsonl").unlink()
    train(workspace.root, 2)
    found = registered(workspace)
    assert found["version"] == "v2"
    assert first not in str(run_record.read("dopsd", "v2", "lineage.json"))


def test_a_worse_adapter_is_refused_in_writing_and_the_champion_stays(workspace: FakeWorkspace) -> None:
    registered(workspace)
    train(workspace.root, 0)
    score(workspace.root, likeness=0.2)
    found = registered(workspace)
    assert (found["version"], found["verdict"]) == ("v3", "REJECT")
    assert any("likeness failed against base" in reason["sentence"] for reason in found["reasons"])
    assert registry.named("dopsd", "champion") == "v2"
    assert connect().get_model_version("dopsd", "3").tags["verdict"] == "REJECT"


def test_a_champion_is_followed_only_by_a_better_one(workspace: FakeWorkspace) -> None:
    registered(workspace)
    train(workspace.root, 2)
    same = registered(workspace)
    assert (same["version"], same["verdict"]) == ("v3", "HOLD")
    unsure = [reason for reason in same["reasons"] if reason["outcome"] == "unsure"]
    assert [(reason["check"], reason["against"]) for reason in unsure] == [("likeness", "champion")]
    train(workspace.root, 3)
    score(workspace.root, likeness=-0.3)
    assert registered(workspace)["verdict"] == "PROMOTE"
    assert aliases.aliases("dopsd") == {"champion": "v4", "challenger": "v3"}
    train(workspace.root, 1)
    score(workspace.root, likeness=-0.2)
    again = registered(workspace)
    assert (again["version"], again["verdict"]) == ("v2", "PROMOTE")  # decided when there was no champion
    assert registry.named("dopsd", "champion") == "v4"


def test_a_champion_is_not_asked_for_a_concept_that_is_new(workspace: FakeWorkspace) -> None:
    registered(workspace)
    train(workspace.root, 2)
    score(workspace.root, likeness=-0.1, concept="ring")
    found = registered(workspace)
    assert found["verdict"] == "PROMOTE"
    checked = [reason["check"] for reason in found["reasons"] if reason["against"] == "champion"]
    assert len(checked) == 5
    assert "likeness" not in checked


def test_another_champion_meanwhile_is_judged_against(
    workspace: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(workspace)
    train(workspace.root, 2)
    score(workspace.root, likeness=-0.3)
    known = iter([None, "v2"])  # at first we do not know of v2, as if it were promoted while we judge
    monkeypatch.setattr(promotion, "rival", lambda *_: next(known))
    found = registered(workspace)
    assert found["verdict"] == "PROMOTE"
    assert {reason["against"] for reason in found["reasons"]} == {"base", "champion"}


def test_a_weak_teacher_that_was_accepted_is_on_record(workspace: FakeWorkspace) -> None:
    write_json(workspace.root / "data/probe/probe.json", {"is_teacher_better": False})
    assert registered(workspace)["lineage"]["is_weak_teacher_accepted"] is True


def test_outside_of_git_the_commit_is_unknown_and_that_is_said(workspace: FakeWorkspace) -> None:
    shutil.rmtree(workspace.root / ".git")
    assert registered(workspace)["lineage"]["git_commit"] is None
