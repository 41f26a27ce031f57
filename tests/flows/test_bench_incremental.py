"""The benchmark of incremental runs: what it prints, and the workspace that it makes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from flows.commands import bench_incremental
from flows.increment import Measured, Took, lay_out
from tasks.params import load

FOUND = Measured(8, Took(70.0, 8, 0), 1.5, 2.0, 1.6, 2.5, 1.7, "3 of 11", Took(30.0, 3, 8), Took(40.0, 11, 0), 0.2)


def told(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    app = typer.Typer()
    app.command()(bench_incremental.incremental)
    monkeypatch.setattr(bench_incremental, "measured", lambda images: FOUND)
    return CliRunner().invoke(app, arguments).stdout


def test_each_number_stands_beside_that_of_dvc_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(monkeypatch).splitlines()
    assert any("dopsd plan" in line and "1.50 s" in line and "dvc status 2.00 s" in line for line in lines)
    assert any("3 computed, 8 reused (11 computed, 0 reused without the stores)" in line for line in lines)
    said = json.loads(told(monkeypatch, "--images", "8", "--json"))
    assert said["three_more"] == {"seconds": 30.0, "computed": 3, "reused": 8}
    assert said["hit_rate"] == 8 / 11


def test_the_workspace_has_the_params_and_models_of_this_folder(tmp_path: Path) -> None:
    lay_out(tmp_path / "bench", 4)
    here, there = load(Path()), load(tmp_path / "bench")
    assert there.models.base == str(Path(here.models.base).resolve())
    assert there.embed == here.embed
    assert len(list((tmp_path / "bench/photos").glob("*.png"))) == 4
    status = [sys.executable, "-m", "dvc", "status", "--quiet", "embed"]
    assert subprocess.run(status, cwd=tmp_path / "bench", check=False).returncode == 1  # it has work, and no mistake
