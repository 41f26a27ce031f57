"""`dopsd doctor`: each planted fault is found, with its mend; what is sound is good."""

import json
import os
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import examination, installed
from flows.cli import app
from flows.examination import CHECKS
from tasks.folders import write_json
from tests.fake_workspace import FakeWorkspace

ROOT = Path(__file__).parents[2]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    FakeWorkspace.at(tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def found(name: str, root: Path) -> tuple[str, str]:
    finding = CHECKS[name](root)
    return finding.level, finding.sentence


def test_libraries_that_are_missing_old_or_untested_are_found(root: Path) -> None:
    assert found("libraries", root)[0] == "good"
    assert found("lock", root)[0] == "good"
    text = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").write_text(text.replace('"fastapi<0.151"', '"fastapi<0.100", "no-such-library>=1"'))
    assert found("libraries", root) == (
        "bad",
        f"fastapi<0.100 is {installed.installed('fastapi')}; no-such-library>=1 is missing: "
        "`make` installs what pyproject.toml asks for",
    )
    pins = (root / "constraints.txt").read_text()
    (root / "constraints.txt").write_text(pins.replace("torch==2.13.0", "torch==2.99.0"))
    level, sentence = found("lock", root)
    assert level == "warning"
    assert sentence.startswith("untested versions: torch 2.1")
    (root / "constraints.txt").unlink()
    assert found("lock", root)[0] == "warning"


def test_wrong_params_and_deployments_are_told_in_their_own_words(root: Path) -> None:
    assert found("params.yaml", root)[0] == "good"
    shutil.rmtree(root / "photos")
    assert found("params.yaml", root)[1].startswith("there is no photos: put your images there")
    assert found("prefect.yaml", root)[1].startswith("there is no prefect.yaml in")


@pytest.mark.parametrize(("free", "level"), [(0.5, "bad"), (5, "warning"), (50, "good")])
def test_a_disk_that_is_full_is_found(root: Path, monkeypatch: pytest.MonkeyPatch, free: float, level: str) -> None:
    monkeypatch.setattr(examination.shutil, "disk_usage", lambda path: Usage(1, 1, free * 1e9))
    assert found("disk", root)[0] == level


def test_a_clock_that_stands_before_what_happened_is_found(root: Path) -> None:
    assert found("clock", root)[0] == "good"
    (root / "runs").mkdir()
    (root / "runs/history.jsonl").write_text(json.dumps({"stage": "ingest", "began": time.time() + 3600}) + "\n")
    level, sentence = found("clock", root)
    assert (level, sentence[-28:]) == ("bad", "last stage that ran: set it (NTP)"[-28:])


def test_a_remote_that_is_missing_near_or_unreachable_is_found(root: Path) -> None:
    assert found("remotes", root)[1].startswith("DVC has no remote")
    config = (root / ".dvc/config").read_text()
    (root / ".dvc/config").write_text(f"{config}['remote \"near\"']\n    url = {root / 'storage'}\n")
    assert found("remotes", root) == ("warning", "remote near is on the disk of this folder, which is no backup")
    (root / ".dvc/config").write_text(f"{config}['remote \"away\"']\n    url = gs://bucket/storage\n")
    level, sentence = found("remotes", root)
    assert level == "bad"
    assert sentence.startswith("remote away refuses (gs ")
    shutil.rmtree(root / ".dvc")
    assert found("remotes", root)[1].startswith("there is no .dvc here")


def test_a_registry_that_is_broken_is_found(root: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("registry", root) == ("warning", "there is no mlflow.db yet: the first run makes it".replace(
        "mlflow.db", str(root / "mlflow.db")
    ))  # fmt: skip
    shutil.copyfile(empty_store, root / "mlflow.db")
    assert found("registry", root) == ("good", f"{root / 'mlflow.db'} holds 0 versions")
    (root / "mlflow.db").write_bytes(b"no database" * 100)
    assert found("registry", root)[0] == "bad"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert found("registry", root)[1].startswith("MLflow does not answer at http://127.0.0.1:9/health")


def test_a_server_that_does_not_answer_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("server", root)[0] == "good"
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert found("server", root)[1].startswith("Prefect does not answer at http://127.0.0.1:9/api/health")


def test_a_trigger_whose_source_is_gone_is_found(root: Path) -> None:
    assert found("triggers", root) == ("good", "0 triggers can read what they watch")
    for name, source in (("new", "inbox"), ("old", "s4://bucket/inbox")):
        write_json(
            root / f"runs/triggers/{name}/watched.json", {"source": str(root / source) if name == "new" else source}
        )
    level, sentence = found("triggers", root)
    assert (level, sentence.split(" to watch")[0]) == ("bad", f"trigger new: there is no folder {root / 'inbox'}")
    (root / "inbox").mkdir()
    assert found("triggers", root)[1].startswith("trigger old: s4://bucket/inbox cannot be watched: Protocol not known")


def test_gpus_that_torch_cannot_use_are_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "bin").mkdir()
    (root / "bin/nvidia-smi").write_text("#!/bin/sh\necho '0, GPU-a, 81559'\necho '1, GPU-b, 81559'\n")
    (root / "bin/nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{root / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(examination, "installed", lambda name: "2.13.0+cpu")
    assert found("gpu", root)[0] == "bad"
    monkeypatch.setattr(examination, "installed", lambda name: "2.13.0")
    assert found("gpu", root) == ("good", "2 GPUs, torch 2.13.0")
    monkeypatch.setenv("DOPSD_DEVICES", "fake")
    assert found("gpu", root)[0] == "bad"


def test_what_stops_a_run_ends_with_exit_code_1(root: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    said = json.loads(result.stdout)
    assert result.exit_code == 1
    assert list(said) == list(CHECKS)
    assert [name for name, finding in said.items() if finding["level"] == "bad"] == ["prefect.yaml"]
    shutil.copy(ROOT / "prefect.yaml", root)
    (root / "flows").symlink_to(ROOT / "flows")
    assert CliRunner().invoke(app, ["doctor"]).exit_code == 0
