"""PostgreSQL and S3 by three settings: all is kept there, each refusal is told before anything starts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from flows import service
from flows.machine import Machine
from flows.serving import SERVICES
from flows.storage import ARTIFACTS, LOOKS, PREFECT_DATABASE, TRACKING, complaint, refuse_unreachable
from tests import buckets, postgresql
from tests.postgresql import PASSWORD, Databases
from tests.served import free_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
FLOW = '''
from pathlib import Path
from prefect import flow
from tests.registered import two_versions

@flow(name="toy")
def toy() -> None:
    """Register two versions, as a worker does."""
    two_versions(Path.cwd())
'''
DEPLOYMENT = "deployments: [{name: toy, entrypoint: 'toy.py:toy', work_pool: {name: gpu}}]\n"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with buckets.server() as address:
        yield address


@pytest.fixture
def bucket(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Make an empty bucket; gives a question: which keys are in it?"""
    buckets.reach(s3, monkeypatch, tmp_path)
    bucket = boto3.resource("s3").create_bucket(Bucket="bucket")
    return lambda: sorted(row.key for row in bucket.objects.all())


def test_settings_that_are_wrong_are_told_with_the_mend_and_without_the_password(
    bucket: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"postgresql://somebody:{PASSWORD}@127.0.0.1:9/runs"
    wrong = {
        (TRACKING, nobody): "refuses .*Connection refused.* start it, or correct the address",
        (TRACKING, f"postgresql://somebody:{PASSWORD}@:port"): "is no address of a database",
        (TRACKING, f"no-such-database://somebody:{PASSWORD}@there/runs"): "is no address of a database",
        (PREFECT_DATABASE, nobody): r"Prefect cannot use postgresql: write postgresql\+asyncpg://",
        (PREFECT_DATABASE, nobody.replace("sql:", "sql+asyncpg:")): "refuses .*Connection refused",
        (ARTIFACTS, "s3://no-such-bucket/mlruns"): "cannot be written to .*AWS_ENDPOINT_URL",
        (ARTIFACTS, f"s3://somebody:{PASSWORD}@bucket/mlruns"): "holds a password",
    }
    for (name, address), said in wrong.items():
        with monkeypatch.context() as patch:
            patch.setenv(name, address)
            with pytest.raises(ValueError, match=f"^{name}.*{said}") as told:
                refuse_unreachable()
            assert PASSWORD not in str(told.value)


def test_what_is_kept_on_this_machine_needs_no_setting(
    bucket: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_unreachable()
    for name, address in ((TRACKING, "sqlite:///runs.db"), (PREFECT_DATABASE, "sqlite+aiosqlite:///prefect.db")):
        monkeypatch.setenv(name, address)
        assert complaint(name) is None
    monkeypatch.setenv(ARTIFACTS, "s3://bucket/mlruns")
    assert complaint(ARTIFACTS) is None
    assert bucket() == []  # nothing is left of the question


def test_a_password_stands_in_no_list_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACKING, f"postgresql://somebody:{PASSWORD}@there/runs")
    for row in Machine(4200, 5000, 1).servers(Path()):
        assert PASSWORD not in " ".join(row.command)


@pytest.mark.slow
def test_three_settings_put_all_into_postgresql_and_s3(bucket: Callable[[], list[str]], tmp_path: Path) -> None:
    with postgresql.server() as databases:
        databases.make("mlflow", "prefect")
        box = Box.at(tmp_path / "project", databases)
        (box.root / "prefect.yaml").write_text(DEPLOYMENT)
        (box.root / "toy.py").write_text(FLOW)
        a_wrong_password_is_told_before_anything_starts(box)
        try:
            box.typed("dopsd up")
            box.typed("prefect deployment run toy/toy --watch")
            box.typed("dopsd down")
            box.typed("dopsd up")
            all_is_kept_elsewhere(box, databases, bucket)
            no_password_is_told(box)
        finally:
            box.typed("dopsd down")


@dataclass(frozen=True)
class Box:
    """A project whose environment is what the page on operations says, with addresses of our own."""

    root: Path
    environment: dict[str, str]

    @classmethod
    def at(cls, root: Path, databases: Databases) -> "Box":
        (root / "bin").mkdir(parents=True)
        (root / "bin/dopsd").write_text(f'#!/bin/sh\nexec {sys.executable} -m flows.cli "$@"\n')
        (root / "bin/dopsd").chmod(0o755)
        said = dict(re.findall(r"^    export (\w+)=(\S+)$", PAGE.read_text(), re.MULTILINE))
        assert set(said) == set(LOOKS)
        place = f"postgres:{PASSWORD}@127.0.0.1:{databases.port}"
        ports = free_port(), free_port()
        return cls(root, os.environ | {name: said[name].replace("dopsd@db.example.org", place) for name in said} | {
            "PATH": f"{root / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
            "PREFECT_HOME": str(root.parent / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{ports[0]}/api",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DOPSD_PREFECT_PORT": ports[0],
            "DOPSD_MLFLOW_PORT": ports[1],
            "DOPSD_DEVICES": "",
        })  # fmt: skip

    def typed(self, command: str, code: int = 0, **variables: str) -> str:
        """Type a command; gives what it printed."""
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.root, env=self.environment | variables, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def a_wrong_password_is_told_before_anything_starts(box: Box) -> None:
    wrong = box.environment[TRACKING].replace(PASSWORD, "another")
    assert "password authentication failed" in box.typed("dopsd up", code=1, **{TRACKING: wrong})
    assert service.names(box.root / SERVICES) == set()


def all_is_kept_elsewhere(box: Box, databases: Databases, bucket: Callable[[], list[str]]) -> None:
    """Look for the run, the versions and their files where the settings say, and for nothing of them here."""
    assert databases.told("select state_type from flow_run", "prefect") == "COMPLETED"
    assert databases.told("select count(*) from model_versions", "mlflow") == "3"  # the base, too
    assert any(key.startswith("mlruns/") and key.endswith("grid.png") for key in bucket())
    assert "runs/parents/v3" in box.typed("python -m tasks parent v3")
    box.typed("dvc remote add --default storage s3://bucket/dvc && dvc push")
    assert any(key.startswith("dvc/files/md5/") for key in bucket())
    for name in ("remotes", "registry", "artifacts", "database"):
        assert json.loads(box.typed("dopsd doctor --json || true"))[name]["level"] == "good"
    assert not {path.name for path in box.root.iterdir()} & {"mlflow.db", "mlruns"}
    assert not list((box.root.parent / "prefect").glob("*.db"))


def no_password_is_told(box: Box) -> None:
    """Look into every log, and into the list of processes."""
    logs = [path.read_text(errors="replace") for path in (box.root / "runs").rglob("*.log")]
    commands = [
        " ".join(process.cmdline())
        for name in service.names(box.root / SERVICES)
        for process in service.processes(name, box.root / SERVICES)
    ]
    assert logs
    assert commands
    assert not any(PASSWORD in text for text in (*logs, *commands))
