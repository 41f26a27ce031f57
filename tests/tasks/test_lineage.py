"""The record agrees with what DVC and git say."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tasks.versions.lineage import _git, dvc_digest
from tests.fake_workspace import FakeWorkspace
from tests.one_process import repro


def test_a_folders_digest_is_the_one_that_dvc_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    workspace = FakeWorkspace.at(tmp_path)
    for name in ("photos/deep/звезда 1.png", "photos/.hidden", "photos/z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    repro(workspace, "ingest")
    said = yaml.safe_load((tmp_path / "dvc.lock").read_text())["stages"]["ingest"]
    digests = {row["path"]: row["md5"] for row in said["deps"] + said["outs"]}
    for folder in ("photos", "data/images"):
        assert dvc_digest(tmp_path / folder) == digests[folder]


def test_git_is_asked_for_the_commit_and_for_changes_of_code(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    assert _git(tmp_path) == (None, None)
    git("init", "--quiet")
    (tmp_path / "code.py").write_text("1")
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    commit = git("rev-parse", "HEAD")
    assert _git(tmp_path) == (commit, True)
    (tmp_path / "dvc.lock").write_text("x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("x")
    assert _git(tmp_path) == (commit, True)
    (tmp_path / "code.py").write_text("2")
    assert _git(tmp_path) == (commit, False)
    shutil.rmtree(tmp_path / ".git")
