"""The flow on a real Prefect: a task a stage, cached where nothing changed, ended by a failure or a refusal.

The first run, one that fails and one that is ended are processes; where no process matters, the others spare them.
"""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from typer.testing import CliRunner, Result

from dopsd.processes.termination import Terminated
from flows import continual_tuning as continual_tuning_module
from flows import reproduction
from flows.budget import Budget
from flows.cli import app
from flows.continual_tuning import continual_tuning
from flows.stage_task import stage_task
from tasks.folders import read_json
from tasks.passing import note
from tasks.pipeline import STAGES
from tasks.runner import HISTORY
from tests.fake_workspace import DIE, FAIL, GIVE_WAY, HANG, LOSE, WEAK, FakeWorkspace
from tests.one_process import child_here

ALL = [row.name for row in STAGES]
in_one_process = pytest.mark.usefixtures("one_process")


@pytest.fixture(scope="module")
def done(prefect: None, tmp_path_factory: pytest.TempPathFactory) -> FakeWorkspace:
    """A workspace in which the flow ran once, as a deployment calls it."""
    workspace = FakeWorkspace.at(tmp_path_factory.mktemp("done"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace.root)
        state = continual_tuning(accept_weak_teacher=False, return_state=True)
    assert [outcome.status for outcome in state.result()] == ["ran"] * len(ALL)
    assert last_flow_run()[1] == [f"{name}: Completed" for name in ALL]
    return workspace


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the processes that DVC and the stages would be."""
    monkeypatch.setattr(reproduction, "child", child_here)


def dopsd(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def statuses(result: Result) -> list[str]:
    return [row["status"] for row in json.loads(result.stdout)["stages"]]


def last_flow_run() -> tuple[FlowRun, list[str]]:
    """Ask the server for the last flow run, and for the names of its tasks' states in their order."""
    with get_client(sync_client=True) as client:
        run = max(client.read_flow_runs(), key=lambda run: run.expected_start_time)
        tasks = sorted(
            (task for task in client.read_task_runs() if task.flow_run_id == run.id),
            key=lambda task: task.expected_start_time,
        )
    return run, [f"{task.name}: {task.state_name}" for task in tasks]


@in_one_process
def test_what_did_not_change_is_cached_and_what_did_is_a_task_that_ran(workspace: FakeWorkspace) -> None:
    workspace.change("train.learning_rate", 0.002)
    result = dopsd("run", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert [row["name"] for row in said["stages"]] == ALL
    assert statuses(result) == ["cached"] * 4 + ["ran"] * 3
    assert (said["version"], said["verdict"]) == ("v1", "PROMOTE")
    run, tasks = last_flow_run()
    assert run.state_name == "Completed"
    assert tasks[:5] == [*(f"{name}: Cached" for name in ALL[:4]), "train: Completed"]


@in_one_process
def test_from_a_stage_all_after_it_run_again(workspace: FakeWorkspace) -> None:
    result = dopsd("run", "--from", "evaluate")
    assert result.exit_code == 0
    assert workspace.ran() == [*ALL, "evaluate", "register"]
    assert "PROMOTE  v1" in result.stdout
    assert "data/scores/grid.png" in result.stdout


@in_one_process
def test_a_stage_alone_and_stages_until_one(workspace: FakeWorkspace) -> None:
    workspace.change("embed.batch_size", 3)
    result = dopsd("run", "--until", "embed", "--json")
    assert statuses(result) == ["cached", "cached", "ran"]
    assert json.loads(result.stdout)["stages"][2]["images"] == {"computed": 0, "reused": 1, "damaged": 0}
    assert statuses(dopsd("run", "--only", "probe", "--json")) == ["cached"] * 3 + ["ran"]
    assert statuses(dopsd("run", "--until", "embed", "--force", "caption", "--json")) == ["cached", "ran", "cached"]


@in_one_process
def test_stale_inputs_that_are_accepted_mark_all_that_comes_of_them(workspace: FakeWorkspace) -> None:
    workspace.change("embed.batch_size", 3)
    result = dopsd("run", "--from", "train", "--until", "train", "--accept-stale", "--json")
    assert statuses(result) == ["cached", "cached", "stale", "cached", "ran"]
    adapter = workspace.root / "data/adapter/manifest.json"
    assert read_json(adapter)["upstream"] == "stale"
    assert "embed is stale: params: embed.batch_size (nothing) -> 3" in result.stderr
    workspace.change("embed.batch_size", 8)
    assert dopsd("run").exit_code == 0
    assert read_json(workspace.root / "data/scores/manifest.json")["upstream"] == "stale"
    assert dopsd("run", "--from", "train").exit_code == 0
    assert not adapter.exists()


@in_one_process
def test_the_page_on_reruns_says_what_happens(workspace: FakeWorkspace) -> None:
    page = (Path(__file__).parents[2] / "docs" / "incremental.md").read_text()
    source = workspace.root / "samples/new-concept"
    shutil.copytree(workspace.root / "photos", source)
    workspace.change("ingest.source", "samples/new-concept")
    commands = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    assert len(commands) == 11
    for line in commands:
        command, _, note = line.partition("  #")
        wanted = int(note.partition("exit code ")[2][:1] or 0)
        if command.startswith("dopsd"):
            result = dopsd(*command.split()[1:])
            assert result.exit_code == wanted, (line, result.output)
            assert note.partition('"')[2].partition('"')[0] in result.output
        else:
            subprocess.run(["sh", "-c", command], cwd=workspace.root, check=True)


@in_one_process
def test_an_output_that_was_deleted_is_restored_without_a_run(workspace: FakeWorkspace) -> None:
    shutil.rmtree(workspace.root / "data/captions")
    assert statuses(dopsd("run", "--json")) == ["cached"] * len(ALL)
    assert (workspace.root / "data/captions").is_dir()
    assert workspace.ran() == ALL


def test_a_stage_that_fails_ends_the_run_and_the_next_run_goes_on_there(workspace: FakeWorkspace) -> None:
    workspace.code("evaluate", FAIL)
    result = dopsd("run", "--json")
    assert result.exit_code == 1
    assert statuses(result) == ["cached"] * 5 + ["failed"]
    assert json.loads(result.stdout)["version"] is None
    run, tasks = last_flow_run()
    assert run.state is not None
    assert (run.state_name, run.state.message) == (
        "Failed",
        "evaluate failed (ValueError: evaluate was told to fail); left to do: evaluate, register; "
        "the next run goes on there",
    )
    assert tasks[-1] == "evaluate: Failed"
    workspace.code("evaluate", "mended")
    assert statuses(dopsd("run", "--json")) == ["cached"] * 5 + ["ran", "cached"]  # the same scores end the wave


def test_what_may_pass_is_tried_again_and_what_may_not_is_not(
    workspace: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continual_tuning_module, "stage_task", stage_task.with_options(retry_delay_seconds=0))
    workspace.code("probe", LOSE)
    workspace.code("evaluate", FAIL)
    result = dopsd("run", "--json")
    assert statuses(result) == ["cached"] * 3 + ["ran", "cached", "failed"]
    assert workspace.ran()[len(ALL) :] == ["probe", "probe", "evaluate"]


def test_a_stage_that_gives_way_has_its_turn_again_however_often(workspace: FakeWorkspace) -> None:
    workspace.code("train", GIVE_WAY)
    result = dopsd("run", "--until", "train", "--json")
    assert statuses(result) == ["cached"] * 4 + ["ran"]
    assert last_flow_run()[1][4:] == ["train: GaveWay"] * 4 + ["train: Completed"]


def test_who_is_killed_did_not_give_way_whatever_was_noted_before(workspace: FakeWorkspace) -> None:
    workspace.code("train", DIE)
    note(workspace.root / "runs/train", Terminated())
    result = dopsd("run", "--until", "train", "--json")
    assert statuses(result) == ["cached"] * 4 + ["failed"]


@in_one_process
def test_a_weak_teacher_ends_the_run_until_a_person_accepts_it(workspace: FakeWorkspace) -> None:
    workspace.code("probe", WEAK)
    result = dopsd("run", "--json")
    assert result.exit_code == 4
    assert statuses(result) == ["cached", "cached", "cached", "refused"]
    assert "--accept-weak-teacher" in result.stderr
    assert last_flow_run()[0].state_name == "Refused"
    result = dopsd("run", "--json", "--accept-weak-teacher")
    assert result.exit_code == 0
    assert statuses(result) == ["cached"] * 4 + ["ran"] * 3


@in_one_process
def test_what_would_not_fit_into_the_budget_is_not_begun(workspace: FakeWorkspace) -> None:
    workspace.change("train.learning_rate", 0.002)
    took = "".join(
        json.dumps({"stage": "train", "device": "cpu", "began": 0.0, "seconds": 4000.0}) + "\n" for _ in range(5)
    )
    with (workspace.root / HISTORY).open("a") as file:
        file.write(took)
    result = dopsd("run", "--budget", "1h", "--json")
    assert result.exit_code == 5
    assert statuses(result) == ["cached"] * 4 + ["deferred"]
    assert "the budget ends before train would" in result.stderr
    assert last_flow_run()[0].state_name == "Deferred"
    assert statuses(dopsd("run", "--budget", "2h", "--json")) == ["cached"] * 4 + ["ran"] * 3


def test_what_is_at_work_when_the_budget_ends_is_asked_to_end_and_begun_again(
    workspace: FakeWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.change("train.learning_rate", 0.002)
    begun = tmp_path / "begun"
    with monkeypatch.context() as slow:
        slow.setenv(HANG, f"train:{begun}")
        slow.setattr(Budget, "fits", lambda budget, expected: True)
        slow.setattr(Budget, "left", lambda budget: over_with(begun))
        result = dopsd("run", "--only", "train", "--budget", "20s", "--json")
    assert result.exit_code == 5
    assert statuses(result)[-1] == "deferred"
    assert statuses(dopsd("run", "--until", "train", "--json")) == ["cached"] * 4 + ["ran"]


def over_with(begun: Path) -> float:
    """Let the budget be over as soon as a file says that the stage has begun."""
    end = time.monotonic() + 400
    while not begun.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    return 0.0


@pytest.mark.parametrize(("said", "reason"), [("2", "with its units"), ("0s", "nothing would be done")])
def test_a_budget_that_is_none_is_told(workspace: FakeWorkspace, said: str, reason: str) -> None:
    result = dopsd("run", "--budget", said)
    assert result.exit_code == 1
    assert reason in result.stderr
