"""The command line: what it prints, how it ends, and what it does not import."""

import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.summary import Outcome, Summary
from tasks.pipeline import STAGES
from tasks.versions.shadow import SHADOW, is_shadow
from tests.fake_workspace import PARAMS, FakeWorkspace
from tests.one_process import repro

ALL = [row.name for row in STAGES]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> FakeWorkspace:
    workspace = FakeWorkspace.at(tmp_path_factory.mktemp("done"))
    repro(workspace)
    return workspace


def dopsd(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_nothing_to_do_is_told_without_prefect_or_torch(workspace: FakeWorkspace) -> None:
    script = (
        "import sys; from flows.cli import app\n"
        "try: app(['run', '--json'])\n"
        "except SystemExit as end: assert end.code == 0, end\n"
        "assert not {'prefect', 'torch', 'mlflow', 'transformers'} & set(sys.modules)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=workspace.root, check=True
    )
    said = json.loads(ended.stdout)
    assert said["stages"] == [{"name": name, "status": "cached", "seconds": 0.0} for name in ALL]
    assert (said["version"], said["verdict"]) == ("v1", "PROMOTE")
    assert "nothing to do" in ended.stderr


@pytest.mark.parametrize("asked", [("--until", "ingest"), ("--until", "caption"), ("--only", "probe")])
def test_of_stages_before_register_no_verdict_is_told(workspace: FakeWorkspace, asked: tuple[str, ...]) -> None:
    said = json.loads(dopsd("run", "--json", *asked).stdout)
    assert (said["version"], said["verdict"]) == (None, None)
    shown = dopsd("run", *asked).output
    assert asked[-1] in shown
    assert not [word for word in ("PROMOTE", "v1", "pictures") if word in shown]
    assert "PROMOTE  v1" in dopsd("run", "--only", "register").stdout


def test_the_scores_are_told_of_a_run_that_was_asked_for_them(workspace: FakeWorkspace) -> None:
    scores = {"models": {"base": {"likeness": {"mean": 0.5, "low": 0.4, "high": 0.6}}}}
    workspace.write("data/scores/scores.json", json.dumps(scores))
    told = {}
    for last in ("train", "evaluate"):
        outcomes = [Outcome(name, "cached", 0.0) for name in ALL[: ALL.index(last) + 1]]
        told[last] = Summary.of(outcomes, workspace.root)
    assert (told["train"].scores, told["train"].record) == (None, None)
    assert (told["evaluate"].scores, told["evaluate"].record) == (scores, None)
    with Console(file=StringIO()) as console:
        told["evaluate"].show(console)
    assert "pictures  data/scores/grid.png" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_in_the_shadow_tells_its_stages(workspace: FakeWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHADOW, "")
    assert dopsd("run").exit_code == 0
    assert not is_shadow()
    assert dopsd("run", "--shadow").exit_code == 0
    assert is_shadow()


def test_the_plan_is_a_table_or_json_and_its_exit_code_tells_of_work(workspace: FakeWorkspace) -> None:
    assert dopsd("plan", "--detailed-exitcode").exit_code == 0
    workspace.change("train.learning_rate", 0.002)
    assert dopsd("plan").exit_code == 0
    result = dopsd("plan", "--json", "--detailed-exitcode")
    assert result.exit_code == 2
    rows = {row["name"]: row for row in json.loads(result.stdout)["stages"]}
    assert (rows["train"]["decision"], rows["train"]["reasons"]) == (
        "RUN", ["params: train.learning_rate 0.001 -> 0.002"],
    )  # fmt: skip
    assert rows["train"]["expected"]["runs"] == 1
    assert json.loads(result.stdout)["seconds"]["least"] == rows["train"]["expected"]["seconds"]
    assert rows["evaluate"]["decision"] == "MAYBE"
    assert "train.learning_rate 0.001 -> 0.002" in dopsd("plan").stdout


def test_from_a_stage_is_refused_where_something_before_it_is_stale(workspace: FakeWorkspace) -> None:
    workspace.change("embed.batch_size", 3)
    result = dopsd("run", "--from", "train", "--json")
    assert result.exit_code == 3
    assert "embed is stale: params: embed.batch_size (nothing) -> 3" in result.stderr
    assert "dopsd run --from embed" in result.stderr
    assert result.stdout == ""
    assert workspace.ran() == ALL


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "--from", "tune"), 1, "there is no stage 'tune': choose one of ingest"),
        (("stage", "tune"), 1, "there is no stage 'tune': choose one of ingest"),
        (("run", "--only", "train", "--until", "probe"), 1, "--only names one stage: leave --from and --until out"),
        (("run", "--from", "train", "--until", "probe"), 1, "--from train comes after --until probe"),
        (("plan", "--until", "probe", "--force", "train"), 1, "--force train is outside of the stages"),
        (("key", "explain", "tune"), 1, "there is no stage 'tune'"),
        (("run", "--fro", "train"), 2, "No such option"),
        (("sample", "--out", "x.png"), 2, "Missing option '--prompt'"),
    ],
)
def test_a_wrong_command_line_is_told(workspace: FakeWorkspace, arguments: list[str], code: int, message: str) -> None:
    result = dopsd(*arguments)
    assert result.exit_code == code
    assert message in result.stderr


def test_an_unknown_key_and_a_missing_folder_are_told(workspace: FakeWorkspace) -> None:
    workspace.change("train.learning_rte", 1)
    result = dopsd("run")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "params.yaml: train.learning_rte is no key; did you mean learning_rate?" in result.stderr
    workspace.set_params(PARAMS)
    shutil.rmtree(workspace.root / "photos")
    result = dopsd("plan")
    assert result.exit_code == 1
    assert (
        "there is no photos: put your images there, or their folder into params.yaml as ingest.source" in result.stderr
    )


def test_one_stage_alone_runs_only_where_it_must(workspace: FakeWorkspace) -> None:
    assert "caption: cached" in dopsd("stage", "caption").stderr
    assert "caption: ran" in dopsd("stage", "caption", "--force").stderr
    assert workspace.ran() == [*ALL, "caption"]


def test_what_is_asked_for_is_planned_as_it_would_run(workspace: FakeWorkspace) -> None:
    assert planned("--until", "caption") == {"ingest": "CACHED", "caption": "CACHED"}
    assert planned("--only", "probe", "--force", "probe") == {"probe": "RUN"}
    assert planned("--from", "train") == {"train": "RUN", "evaluate": "RUN", "register": "RUN"}
    assert planned("--force", "probe", "--until", "train")["train"] == "MAYBE"


def planned(*arguments: str) -> dict[str, str]:
    return {row["name"]: row["decision"] for row in json.loads(dopsd("plan", "--json", *arguments).stdout)["stages"]}


def test_the_key_of_a_stage_is_explained_against_its_last_run_and_against_a_commit(workspace: FakeWorkspace) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "--quiet"], ["add", "code", "dvc.yaml", "dvc.lock"], ["commit", "--quiet", "-m", "one"]):
        subprocess.run([*git, *words], cwd=workspace.root, check=True)
    assert not [line for line in dopsd("key", "explain", "train").stdout.splitlines() if line[0] in "+-~"]
    workspace.code("train", "otherwise")
    workspace.change("train.learning_rate", 0.002)
    workspace.write("models/base/w", "others")
    for against in ((), ("--against", "HEAD")):
        said = dopsd("key", "explain", "train", *against).stdout
        marked = [line.split("  ")[0] for line in said.splitlines() if line[0] in "+-~"]
        assert marked == ["~ code: tasks/train.py::run", "~ params: train.learning_rate", "~ data: models/base"]
    assert "git gives nothing of nowhere" in dopsd("key", "explain", "train", "--against", "nowhere").stderr


def test_code_that_only_looks_different_is_nothing_to_do_for_dvc_too(workspace: FakeWorkspace) -> None:
    workspace.edit("code/tasks/train.py", "# a comment", "# another comment")
    assert "nothing to do" in dopsd("run").stderr
    assert repro(workspace) == []
    status = subprocess.run(
        [sys.executable, "-m", "dvc", "status", "--quiet"], cwd=workspace.root, check=False, capture_output=True
    )
    assert status.returncode == 0


def test_a_parent_that_is_chosen_stands_in_params_yaml(workspace: FakeWorkspace) -> None:
    workspace.change("train.parent", "v7")
    result = dopsd("run", "--parent", "base", "--json")
    assert result.exit_code == 0
    assert "trains on from base: as asked" in result.stderr


def test_a_parent_that_is_not_there_is_told(workspace: FakeWorkspace, empty_store: Path) -> None:
    shutil.copyfile(empty_store, workspace.root / "mlflow.db")
    result = dopsd("run", "--parent", "v3")
    assert result.exit_code == 1
    assert "the registry has no v3 of dopsd" in result.stderr


def test_before_there_is_a_champion_a_run_starts_from_the_base(workspace: FakeWorkspace, empty_store: Path) -> None:
    shutil.copyfile(empty_store, workspace.root / "mlflow.db")
    result = dopsd("run", "--parent", "champion", "--until", "ingest")
    assert result.exit_code == 0
    assert "trains on from base: there is no champion yet" in result.stderr
