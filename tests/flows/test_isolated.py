"""Runs that overlap, as processes: one is killed in training, then five ask for the same at once, then a worker does;
elsewhere a person and two isolated runs meet.

Git, DVC, Prefect and MLflow are real; the stages' work is cheap.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from tasks.pipeline import STAGES
from tasks.runner import history
from tests.fake_workspace import HANG, TRACK, FakeWorkspace
from tests.repository import committed, git, photographed

pytestmark = pytest.mark.slow  # a minute of processes; .ci/run types the command itself

ROOT = Path(__file__).parents[2]
ALL = [row.name for row in STAGES]
Ended = tuple[int, str, str]


@dataclass(frozen=True)
class Story:
    """What happened, in order: exit codes with what was printed, and how things stood before and after."""

    home: FakeWorkspace
    killed: int
    ran_before_the_kill: list[str]
    five: Sequence[Ended]
    worker: Ended
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]


@pytest.fixture(scope="module")
def settled(prefect: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for a home; processes know the server, and git does not know who we are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", prefect)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("nobody")))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield tmp_path_factory.mktemp("isolated")


@pytest.fixture(scope="module")
def met(settled: Path, empty_store: Path) -> tuple[FakeWorkspace, Sequence[Ended]]:
    """Let two isolated runs and a person in the folder itself ask at once for what is committed."""
    home = FakeWorkspace.at(settled / "shared")
    home.code("train", TRACK)
    shutil.copyfile(empty_store, home.root / "mlflow.db")
    committed(home)
    asked = [_started(home.root, "run", *words, "--json") for words in (["--isolated"], [], ["--isolated"])]
    return home, [_ended(process) for process in asked]


@pytest.fixture(scope="module")
def story(settled: Path, empty_store: Path) -> Story:
    """Let it happen, once for all tests; somebody is in the middle of an edit all the while."""
    home = FakeWorkspace.at(settled / "home")
    for name in ("train", "register"):
        home.code(name, TRACK)
    shutil.copyfile(empty_store, home.root / "mlflow.db")
    committed(home)
    home.change("train.learning_rate", 0.5)
    home.write("notes.txt", "not committed")
    before = photographed(home.root)
    killed = _killed_in_training(home.root, settled / "begun")
    ran = [str(row["stage"]) for row in history(home.root)]
    running = [_started(home.root, "run", "--isolated", "--json") for _ in range(5)]
    five = [_ended(process) for process in running]
    worker = _ended(subprocess.Popen([sys.executable, "-c", _worker(home.root)], **_PIPES))
    return Story(home, killed, ran, five, worker, before, photographed(home.root))


_PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def _started(root: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "flows.cli", *arguments], cwd=root, **_PIPES)


def _ended(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate()
    return process.returncode, out, err


def _killed_in_training(root: Path, begun: Path) -> int:
    """Kill a run once its training has its run in MLflow; gives how it ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HANG, f"tracked:{begun}")
        process = _started(root, "run", "--isolated")
    while not begun.exists() and process.poll() is None:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    return _ended(process)[0]


def _worker(home: Path) -> str:
    """Spell what a worker's process does with our deployment: its pull steps, then the flow."""
    deployment, *_ = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    pull = [{name: {**inputs, "home": str(home)} for name, inputs in step.items()} for step in deployment["pull"]]
    return (
        "import asyncio, json, os\n"
        "from prefect.deployments.steps.core import run_steps\n"
        "from prefect.flows import load_flow_from_entrypoint\n"
        f"os.chdir(asyncio.run(run_steps({pull!r}))['directory'])\n"
        f"flow = load_flow_from_entrypoint({str(ROOT / deployment['entrypoint'])!r})\n"
        "state = flow(return_state=True)\n"
        "print(json.dumps([os.getcwd(), state.name, [row.status for row in state.result()]]))\n"
    )


def test_five_at_once_succeed_with_one_execution_and_one_version(story: Story) -> None:
    assert [code for code, _, _ in story.five] == [0] * 5, story.five
    assert [json.loads(out)["version"] for _, out, _ in story.five] == ["v1"] * 5
    assert sorted(str(row["stage"]) for row in history(story.home.root)) == sorted(ALL)
    statuses = [[row["status"] for row in json.loads(out)["stages"]] for _, out, _ in story.five]
    assert statuses.count(["cached"] * 4 + ["ran"] * 3) == 1
    assert statuses.count(["cached"] * 4 + ["joined"] * 3) == 4
    store = MlflowClient(f"sqlite:///{story.home.root}/mlflow.db")
    assert len(store.search_registered_models()) == len(store.search_model_versions()) == 1


def test_a_run_that_was_killed_holds_nothing_up_and_its_training_goes_on(story: Story) -> None:
    assert story.killed == -signal.SIGKILL
    assert story.ran_before_the_kill == ALL[:4]
    store = MlflowClient(f"sqlite:///{story.home.root}/mlflow.db")
    (run,) = store.search_runs([row.experiment_id for row in store.search_experiments()])
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith(f"{story.home.root}/mlruns/")


def test_what_a_person_has_is_as_it_was(story: Story) -> None:
    assert story.after == story.before
    assert len(git(story.home.root, "worktree", "list").splitlines()) == 1
    assert list((story.home.root / "runs/workspaces").glob("*/tree")) == []
    assert "left out, as it is not committed: params.yaml, notes.txt" in story.five[0][2]


def test_a_worker_runs_the_deployment_in_a_workspace_that_begins_where_the_last_one_ended(story: Story) -> None:
    code, out, err = story.worker
    assert code == 0, err
    folder, name, statuses = json.loads(out.splitlines()[-1])
    assert Path(folder).parent.parent == story.home.root / "runs/workspaces"
    assert (name, statuses) == ("Completed", ["cached"] * len(ALL))


def test_a_person_who_meets_isolated_runs_shares_the_work_with_them(
    met: tuple[FakeWorkspace, Sequence[Ended]],
) -> None:
    home, ended = met
    assert [code for code, _, _ in ended] == [0] * 3, ended
    ran = [str(row["stage"]) for row in history(home.root)]
    assert sorted(name for name in ran if name != "register") == sorted(set(ALL) - {"register"})
    store = MlflowClient(f"sqlite:///{home.root}/mlflow.db")
    (run,) = store.search_runs([row.experiment_id for row in store.search_experiments()])
    assert run.info.status == "FINISHED"


def test_what_the_person_asked_for_lies_in_the_folder_itself(met: tuple[FakeWorkspace, Sequence[Ended]]) -> None:
    home, _ = met
    assert _ended(_started(home.root, "plan", "--detailed-exitcode"))[0] == 0
