"""A machine for real: servers, workers, a trigger; what happens when they are killed, and that nothing is left."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from flows import service
from flows.serving import SERVICES
from tasks.triggers.events import Ended, Event, Fired, Refused, history
from tests.served import asked, free_port, until

ROOT = Path(__file__).parents[2]
FLOW = '''
import os, time
from pathlib import Path
from prefect import flow
from tasks.devices.job import seen
from tasks.devices.lease import Need

@flow(name="toy")
def toy(asked_by: str = "", seconds: float = 0) -> None:
    """Write down who asked, and hold a device for a while."""
    with seen(Need("toy")):
        with (Path(__file__).parent / "ran.txt").open("a") as file:
            file.write(f"{asked_by} {os.environ['CUDA_VISIBLE_DEVICES']}\\n")
        time.sleep(seconds)
'''
DEPLOYMENTS = """
deployments:
  - name: toy
    entrypoint: toy.py:toy
    work_pool: {name: gpu}
    triggers:
      - type: event
        enabled: true
        match: {prefect.resource.id: "dopsd.trigger.*"}
        expect: [dopsd.images-ready]
        parameters: {asked_by: "{{ event.payload.run }}"}
"""


PAGE = ROOT / "docs" / "operations.md"


@dataclass(frozen=True)
class Box:
    """A folder with a small flow, a Prefect of its own, and ports that nobody uses."""

    root: Path
    environment: dict[str, str]

    def begin(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def typed(self, command: str) -> tuple[int, str]:
        with self.begin(command) as process:
            said, _ = process.communicate()
        return process.returncode, said

    def ask(self, path: str, **said: Any) -> Any:
        """Ask the Prefect server."""
        return asked(f"http://127.0.0.1:{self.environment['DOPSD_PREFECT_PORT']}/api", path, **said)

    def start(self, asked_by: str, seconds: int) -> str:
        """Start a run by hand; gives its id."""
        (deployment,) = self.ask("deployments/filter")
        said = {"asked_by": asked_by, "seconds": seconds}
        once = str(uuid4())
        path = f"deployments/{deployment['id']}/create_flow_run"
        return str(self.ask(path, parameters=said, idempotency_key=once)["id"])

    def state(self, run: str) -> str:
        (found,) = self.ask("flow_runs/filter", flow_runs={"id": {"any_": [run]}})
        return str(found["state_type"])

    def is_completed(self, run: str) -> bool:
        return self.state(run) == "COMPLETED"

    def ran(self) -> list[str]:
        path = self.root / "ran.txt"
        return path.read_text().splitlines() if path.is_file() else []

    def events(self) -> tuple[Event, ...]:
        path = self.root / "runs/triggers/new-images/events.jsonl"
        return history(path).events if path.is_file() else ()

    def living(self) -> set[str]:
        return service.names(self.root / SERVICES)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    for name in ("models", "panels", "constraints.txt", "pyproject.toml", "blocked.jsonl"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("inbox", "photos", "mlruns", "triggers", ".dvc", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "toy.py").write_text(FLOW)
    (tmp_path / "prefect.yaml").write_text(DEPLOYMENTS)
    params = (ROOT / "params.yaml").read_text().replace("source: samples/new-concept", "source: photos")
    (tmp_path / "params.yaml").write_text(params)
    (tmp_path / "triggers/new-images.yaml").write_text("min_new_images: 2\nquiet_for: 1s\ncooldown: 0\n")
    storage = f"[core]\n    no_scm = true\n    remote = away\n['remote \"away\"']\n    url = {tmp_path / 'away'}\n"
    (tmp_path / ".dvc/config").write_text(storage)
    (tmp_path / "bin/dopsd").write_text(f'#!/bin/sh\nexec {sys.executable} -m flows.cli "$@"\n')
    (tmp_path / "bin/dopsd").chmod(0o755)
    lent = Box(tmp_path, environment(tmp_path))
    yield lent
    for name in lent.living():
        service.stop(name, tmp_path / SERVICES)


def environment(root: Path) -> dict[str, str]:
    kept = {name: said for name, said in os.environ.items() if name not in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")}
    return kept | {
        "PATH": f"{root / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(root / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "DOPSD_PREFECT_PORT": free_port(),
        "DOPSD_MLFLOW_PORT": free_port(),
        "DOPSD_DEVICES": "fake:24",
        "DOPSD_LEASES": str(root / "leases"),
    }


@pytest.mark.slow
def test_what_the_page_on_operations_tells_to_type_holds_whatever_is_killed(box: Box) -> None:
    lines = [line.strip().split("  #")[0].strip() for line in PAGE.read_text().splitlines() if line.startswith("    ")]
    commands = [line for line in lines if line.startswith(("dopsd", "tar", "dvc", "mlflow"))]
    assert len(commands) == 20
    done = set[str]()
    for command in commands:
        if command.startswith("dopsd trigger watch"):
            new_images_start_a_run(box, command)
            lost = a_run_whose_processes_are_killed(box)
        elif command == "dopsd up" and command not in done:
            a_start_that_is_killed(box)
        if not command.startswith("dopsd trigger watch"):
            code, said = box.typed(command)
            assert code == 0, f"{command}: {said}"
        if command == "dopsd up":
            assert box.living() == {"prefect", "mlflow", "worker-cpu-0", "worker-gpu-0", "worker-gpu-urgent"}
            assert said.count("http://127.0.0.1:") == 3
        if command == "dopsd up" and command in done:
            assert box.state(lost) == "CRASHED"
            until(partial(box.is_completed, box.start("after", 0)))
        done.add(command)
    assert box.typed("dopsd down")[0] == 0
    assert box.living() == set()
    assert "nothing runs here" in box.typed("dopsd down")[1]
    assert box.typed("dopsd status")[0] == 1


@contextmanager
def killed_at_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process at the end, also where the test fails: leaving its block would wait for it."""
    try:
        yield
    finally:
        process.kill()


def a_start_that_is_killed(box: Box) -> None:
    """Kill it when the servers run, and nobody but their marks tells of them."""
    with box.begin("dopsd up") as killed, killed_at_the_end(killed):
        until(lambda: {"prefect", "mlflow"} <= box.living())


def new_images_start_a_run(box: Box, command: str) -> None:
    with box.begin(f"{command} --every 1s") as watcher, killed_at_the_end(watcher):
        for name in ("star-01.png", "star-01.txt", "star-02.png"):
            shutil.copy(ROOT / "samples/new-concept" / name, box.root / "inbox")
        (box.root / "inbox/broken.png").write_bytes(b"no picture")
        until(lambda: any(isinstance(event, Ended) for event in box.events()))
    (fired,) = (event for event in box.events() if isinstance(event, Fired))
    (ended,) = (event for event in box.events() if isinstance(event, Ended))
    (refused,) = (event for event in box.events() if isinstance(event, Refused))
    assert (len(fired.images), ended.outcome, refused.file) == (2, "completed", "broken.png")
    assert set(box.ran()) == {f"{fired.run} fake"}
    admitted = {path.name for path in (box.root / "photos/new-images").iterdir()}
    assert admitted == {"star-01.png", "star-01.txt", "star-02.png"}
    found = box.ask("events/filter", filter={"event": {"name": ["dopsd.images-ready"]}})["events"]
    assert {event["payload"]["run"] for event in found} == {fired.run}
    said = box.typed("dopsd trigger list")[1]
    (row,) = (line.split() for line in said.splitlines() if line.startswith("new-images "))
    assert row == ["new-images", "not", "watched", "0", "0", "2", "1", "-"]
    assert "new-images: broken.png: " in said


def a_run_whose_processes_are_killed(box: Box) -> str:
    run = box.start("lost", 600)
    until(lambda: "lost fake" in box.ran())
    for process in reversed(service.processes("worker-gpu-0", box.root / SERVICES)):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    code, said = box.typed("dopsd status")
    assert code == 1
    assert re.search(r"worker-gpu-0 +not there", said)
    assert box.state(run) == "RUNNING"
    refused = box.typed("dopsd up --gpus 2")
    assert (refused[0], "--gpus 1: say the same, or `dopsd down` first" in refused[1]) == (1, True)
    return run
