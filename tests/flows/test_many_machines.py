"""Machines that share git's remote, DVC's remote, a Prefect server and an MLflow server, and no folder.

Each has a clone of its own. Git, DVC, Prefect and MLflow are real; the stages' work is cheap.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from flows.machine import Machine
from tasks.pipeline import STAGES
from tasks.runner import history
from tests.fake_workspace import HANG, LEARN, TRACK, FakeWorkspace
from tests.flows.test_serving import free_port, until
from tests.repository import committed, git

pytestmark = pytest.mark.slow  # minutes of processes, and of waiting for a heart that is heard no more

ROOT = Path(__file__).parents[2]
SENT = [row.name for row in STAGES if row.needs == "gpu"]
MAIN = "continual-tuning/continual-tuning"
_WHILE_S = 1500.0  # a process, or several, for each of its stages
SET_UP = (
    "from pathlib import Path; from flows.heartbeat import watch_hearts; from flows.provision import deploy, make_pools"
    "; make_pools(); deploy(Path()); watch_hearts()"
)


@dataclass(frozen=True)
class Machines:
    """A folder each below `top`, and what runs there."""

    top: Path
    servers: Machine
    environment: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begin(self, name: str, *command: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a program on a machine; the code that it imports is that of the machine's clone."""
        root = self.top / name
        root.mkdir(exist_ok=True)
        ours = self.environment | {"PYTHONPATH": f"{root}{os.pathsep}{ROOT}"} | more
        words = [sys.executable, "-m", "tasks.environment", *command]
        with (self.top / f"{name}.log").open("ab") as log:
            self.running.append(subprocess.Popen(words, cwd=root, env=ours, stdout=log, stderr=log))
        return self.running[-1]

    def typed(self, name: str, *command: str, **more: str) -> None:
        assert self.begin(name, *command, **more).wait() == 0, (self.top / f"{name}.log").read_text()

    def worker(self, name: str, **more: str) -> subprocess.Popen[bytes]:
        pool = name.partition("-")[0]
        return self.begin(name, "prefect", "worker", "start", "--type", "process", "--pool", pool, **more)

    def states(self, name: str) -> list[str]:
        """List how the runs of a name are, by the Prefect server."""
        asked = json.dumps({"flow_runs": {"name": {"any_": [name]}}}).encode()
        page = Request(f"{self.servers.api}/flow_runs/filter", asked, {"Content-Type": "application/json"})
        with urlopen(page, timeout=60) as answer:
            return sorted(run["state_name"] for run in json.load(answer))

    def adapter(self, lock: str) -> str:
        """Read which adapter a dvc.lock tells of."""
        said = yaml.safe_load((self.top / lock).read_text())["stages"]["train"]
        return next(str(out["md5"]) for out in said["outs"] if out["path"] == "data/adapter")


def lose_power(process: subprocess.Popen[bytes]) -> None:
    """End all of a program at once: nothing of it has time to say so."""
    with suppress(psutil.NoSuchProcess):
        for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
    process.wait()


def laid_out(top: Path) -> None:
    """Make a repository with this code, and clones of it; photos lie where the run is planned, models everywhere."""
    seed = FakeWorkspace.at(top / "seed")
    for room in ("flows", "tasks", "dopsd"):
        shutil.copytree(ROOT / room, seed.root / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train", "register"):
        seed.code(name, TRACK)
    seed.write("code/tasks/train.py", f"{(seed.root / 'code/tasks/train.py').read_text()}# {LEARN!r}\n")
    seed.write("prefect.yaml", yaml.safe_dump(deployments()))
    committed(seed)
    seed.edit(".dvc/config", "url = storage", f"url = {top / 'remote'}")
    git(seed.root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--all", "--amend", "-m", "one")
    git(top, "clone", "--quiet", "--bare", "seed", "git")
    for name in ("cpu", "gpu", "undisturbed"):
        git(top, "clone", "--quiet", "git", name)
        shutil.copytree(seed.root / "models", top / name / "models")
    shutil.copytree(seed.root / "photos", top / "undisturbed/photos")
    shutil.move(seed.root / "photos", top / "cpu/photos")
    shutil.rmtree(seed.root)


def deployments() -> dict[str, Any]:
    """Read ours, and let the main flow send its stages, as docs/operations.md says."""
    said: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    said["deployments"][0]["work_pool"]["name"] = "cpu"
    said["deployments"][0]["parameters"]["pool"] = "cpu"
    return said


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Two servers and three clones, with the deployments made."""
    top, servers = tmp_path_factory.mktemp("machines"), Machine(int(free_port()), int(free_port()), 0)
    laid_out(top)
    said = {
        "HOME": str(top),
        "PREFECT_HOME": str(top / "prefect"),
        "PREFECT_API_URL": servers.api,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "MLFLOW_TRACKING_URI": servers.mlflow,
        "DOPSD_DEVICES": "fake:24",
        "DOPSD_LEASES": str(top / "leases"),
    }
    made = Machines(top, servers, dict(os.environ) | said)
    try:
        for row in servers.servers(top / "servers"):
            made.begin("servers", *row.command, **row.environment)
        for row in servers.servers(top / "servers"):
            until(lambda page=row.health: answers(page))
        made.typed("cpu", "python", "-c", SET_UP)
        yield made
    finally:
        for process in made.running:
            lose_power(process)


def answers(page: str | None) -> bool:
    try:
        with urlopen(str(page), timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_run_whose_gpu_host_loses_power_in_training_ends_as_one_that_was_not_disturbed(machines: Machines) -> None:
    top, begun = machines.top, machines.top / "begun"
    machines.worker("cpu")
    lost = machines.worker("gpu", **{HANG: f"tracked:{begun}"})
    machines.typed("cpu", "prefect", "deployment", "run", MAIN)
    until(begun.exists, _WHILE_S)
    lose_power(lost)
    machines.worker("gpu")
    until(lambda: machines.states("dopsd, the deployment") == ["Completed"], _WHILE_S)
    assert machines.states("dopsd, train") == ["Completed", "Crashed"]
    assert [row["stage"] for row in history(top / "cpu")] == ["ingest", "register"]
    assert [row["stage"] for row in history(top / "gpu")] == SENT
    store = MlflowClient(machines.servers.mlflow)
    (run,) = store.search_runs([row.experiment_id for row in store.search_experiments()])
    (version,) = store.search_model_versions()
    assert (run.info.status, version.run_id) == ("FINISHED", run.info.run_id)
    alone = f"sqlite:///{top / 'undisturbed/mlflow.db'}"
    machines.typed("undisturbed", "dvc", "repro", "train", MLFLOW_TRACKING_URI=alone)
    assert machines.adapter("cpu/runs/recorded/dopsd/dvc.lock") == machines.adapter("undisturbed/dvc.lock")
