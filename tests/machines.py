"""Machines that share git's remote, DVC's remote, a Prefect server and an MLflow server, and no folder.

with machines(tmp_path) as made: made.worker("gpu")

Each has a clone of its own, and photos lie in the clone "cpu" alone. Git, DVC, Prefect and MLflow are real; the stages'
work is cheap.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from flows.machine import Machine
from tasks.pipeline import STAGES
from tests.fake_workspace import LEARN, TRACK, FakeWorkspace
from tests.repository import IGNORED, git
from tests.served import answers, asked, free_port, until

ROOT = Path(__file__).parents[1]
SENT = [row.name for row in STAGES if row.needs == "gpu"]
MAIN = "continual-tuning/continual-tuning"
WHILE_S = 1500.0
"""How long what takes a process, or several, for each stage may last."""
_CLONES = ("cpu", "gpu", "undisturbed")
_SET_UP = (
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
    serving: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

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
        """Run a program on a machine to its end."""
        assert self.begin(name, *command, **more).wait() == 0, (self.top / f"{name}.log").read_text()

    def worker(self, pool: str, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a worker of a pool on the machine of that name."""
        return self.begin(pool, "prefect", "worker", "start", "--type", "process", "--pool", pool, *words, **more)

    def serve(self, name: str) -> None:
        """Start a server, and wait until it answers."""
        (row,) = (row for row in self.servers.servers(self.top / "servers") if row.name == name)
        self.serving[name] = self.begin("servers", *row.command, **row.environment)
        until(lambda: answers(str(row.health)))

    def ask(self, path: str, **said: Any) -> Any:
        """Ask the Prefect server."""
        return asked(self.servers.api, path, **said)

    def states(self, name: str) -> list[str]:
        """List how the runs of a name are, by the Prefect server."""
        found = self.ask("flow_runs/filter", flow_runs={"name": {"any_": [name]}})
        return sorted(run["state_name"] for run in found)

    def adapter(self, lock: str) -> str:
        """Read which adapter a dvc.lock tells of."""
        said = yaml.safe_load((self.top / lock).read_text())["stages"]["train"]
        return next(str(out["md5"]) for out in said["outs"] if out["path"] == "data/adapter")


@contextmanager
def machines(top: Path, lay_out: Callable[[Path], None] | None = None) -> Iterator[Machines]:
    """Lend two servers and three clones, with the deployments made and no worker; `lay_out` makes other clones."""
    (lay_out or _lay_out)(top)
    servers = Machine(int(free_port()), int(free_port()), 0)
    said = {
        "HOME": str(top),
        "PREFECT_HOME": str(top / "prefect"),
        "PREFECT_API_URL": servers.api,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "MLFLOW_TRACKING_URI": servers.mlflow,
        "DOPSD_DEVICES": "fake-0:24,fake-1:24",
        "DOPSD_LEASES": str(top / "leases"),
    }
    made = Machines(top, servers, dict(os.environ) | said)
    try:
        for row in servers.servers(top / "servers"):
            made.serve(row.name)
        made.typed("cpu", "python", "-c", _SET_UP)
        yield made
    finally:
        for process in made.running:
            lose_power(process)


def lose_power(process: subprocess.Popen[bytes]) -> None:
    """End all of a program at once: nothing of it has time to say so."""
    with suppress(psutil.NoSuchProcess):
        for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
    process.wait()


def cloned(seed: Path, top: Path) -> None:
    """Commit a folder, and clone it for each machine; DVC's remote is a folder, too."""
    (seed / ".dvc").mkdir(exist_ok=True)
    said = f"[core]\n    analytics = false\n    remote = storage\n['remote \"storage\"']\n    url = {top / 'remote'}\n"
    (seed / ".dvc/config").write_text(said)
    git(seed, "init", "--quiet")
    git(seed, "add", ".")
    git(seed, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "one")
    git(top, "clone", "--quiet", "--bare", seed.name, "git")
    for name in _CLONES:
        git(top, "clone", "--quiet", "git", name)


def _lay_out(top: Path) -> None:
    """Make a repository with this code, and clones of it; photos lie where the run is planned, models everywhere."""
    seed = FakeWorkspace.at(top / "seed")
    for room in ("flows", "tasks", "dopsd"):
        shutil.copytree(ROOT / room, seed.root / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train", "register"):
        seed.code(name, TRACK)
    seed.write("code/tasks/train.py", f"{(seed.root / 'code/tasks/train.py').read_text()}# {LEARN!r}\n")
    seed.write("prefect.yaml", yaml.safe_dump(_deployments()))
    seed.write(".gitignore", "\n".join(IGNORED) + "\n")
    cloned(seed.root, top)
    for name in _CLONES:
        shutil.copytree(seed.root / "models", top / name / "models")
    shutil.copytree(seed.root / "photos", top / "undisturbed/photos")
    shutil.move(seed.root / "photos", top / "cpu/photos")
    shutil.rmtree(seed.root)


def _deployments() -> dict[str, Any]:
    """Read ours, and let the main flow send its stages, as docs/operations.md says."""
    said: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    said["deployments"][0]["work_pool"]["name"] = "cpu"
    said["deployments"][0]["parameters"]["pool"] = "cpu"
    return said
