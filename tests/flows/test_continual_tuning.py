"""The flow on a real Prefect: a task a stage, cached where nothing changed, ended by a failure or a refusal."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.testing.utilities import prefect_test_harness
from typer.testing import CliRunner, Result

from flows.cli import app
from flows.continual_tuning import continual_tuning
from tasks.pipeline import STAGES
from tests.fake_workspace import WEAK, FakeWorkspace

ALL = [row.name for row in STAGES]


@pytest.fixture(scope="session")
def prefect() -> Iterator[None]:
    """A server for all tests of the session."""
    with prefect_test_harness(server_startup_timeout=240):
        yield


@pytest.fixture
def workspace(prefect: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    monkeypatch.chdir(tmp_path)
    return FakeWorkspace.at(tmp_path)


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


def test_every_stage_is_a_task_and_what_did_not_change_is_cached(workspace: FakeWorkspace) -> None:
    result = dopsd("run", "--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert [row["name"] for row in said["stages"]] == ALL
    assert all(row["seconds"] > 0 for row in said["stages"])
    assert statuses(result) == ["ran"] * len(ALL)
    assert (said["version"], said["verdict"]) == ("v1", "PROMOTE")
    run, tasks = last_flow_run()
    assert run.state_name == "Completed"
    assert tasks == [f"{name}: Completed" for name in ALL]
    workspace.change("train.learning_rate", 0.002)
    assert statuses(dopsd("run", "--json")) == ["cached"] * 4 + ["ran"] * 3
    assert last_flow_run()[1][:5] == [*(f"{name}: Cached" for name in ALL[:4]), "train: Completed"]
    assert statuses(dopsd("run", "--json", "--from", "evaluate")) == ["cached"] * 5 + ["ran"] * 2


def test_a_stage_that_fails_ends_the_run_and_the_next_run_goes_on_there(workspace: FakeWorkspace) -> None:
    code = workspace.root / "code/train.py"
    code.write_text("FAIL")
    result = dopsd("run", "--json")
    assert result.exit_code == 1
    assert statuses(result) == ["ran"] * 4 + ["failed"]
    assert json.loads(result.stdout)["version"] is None
    run, tasks = last_flow_run()
    assert run.state_name == "Failed"
    assert tasks[-1] == "train: Failed"
    code.write_text("fine")
    assert statuses(dopsd("run", "--json")) == ["cached"] * 4 + ["ran"] * 3


def test_a_weak_teacher_ends_the_run_until_a_person_accepts_it(workspace: FakeWorkspace) -> None:
    (workspace.root / WEAK).touch()
    result = dopsd("run", "--json")
    assert result.exit_code == 4
    assert statuses(result) == ["ran", "ran", "ran", "refused"]
    assert "--accept-weak-teacher" in result.stderr
    assert last_flow_run()[0].state_name == "Refused"
    assert statuses(dopsd("run", "--json")) == ["cached"] * 3 + ["refused"]
    result = dopsd("run", "--json", "--accept-weak-teacher")
    assert result.exit_code == 0
    assert statuses(result) == ["cached"] * 4 + ["ran"] * 3


def test_the_flow_can_be_called_as_a_deployment_does(workspace: FakeWorkspace) -> None:
    state = continual_tuning(accept_weak_teacher=False, return_state=True)
    assert state.is_completed()
    assert workspace.ran() == ALL
