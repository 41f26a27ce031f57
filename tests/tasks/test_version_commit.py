"""A version is a commit that brings everything back, made behind the user's back without touching what is theirs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.ancestry.records import LINEAGE, records
from tasks.folders import sha256_of_folder
from tasks.git import said
from tasks.versions.version_commit import found, kept
from tests.fake_workspace import FakeWorkspace
from tests.one_process import repro

RECORD = {LINEAGE: '{"mlflow_run_id": "r", "entered": {}, "lineage": {"parent": "base"}}\n', "images.jsonl": "{}\n"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    """A workspace in git, up to its images, where git knows nobody's name."""
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    made = FakeWorkspace.at(tmp_path)
    made.write(".gitignore", "/data/\n/runs/\n.dvc/tmp\n.dvc/cache\n/ran.txt\n")
    made.write("dopsd/known.py", "1")
    said(tmp_path, "init", "--quiet")
    said(tmp_path, "add", ".")
    said(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "one")
    repro(made, "ingest")
    return made


def test_branch_index_and_files_of_the_user_stay(workspace: FakeWorkspace) -> None:
    root = workspace.root
    workspace.write("dopsd/known.py", "2")
    workspace.write("dopsd/new.py", "3")
    workspace.write("mine.txt", "not code")
    said(root, "add", "dopsd/known.py")
    before = [said(root, *words) for words in (["status", "--porcelain"], ["rev-parse", "HEAD"], ["branch", "--list"])]
    index = (root / ".git/index").read_bytes()
    commit = kept(root, "dopsd", "v1", RECORD)
    assert (root / ".git/index").read_bytes() == index
    assert before == [
        said(root, *words) for words in (["status", "--porcelain"], ["rev-parse", "HEAD"], ["branch", "--list"])
    ]
    assert commit == found(root, "dopsd", "v1") == kept(root, "dopsd", "v1", {})
    assert said(root, "rev-parse", f"{commit}^") == before[1]
    listed = said(root, "ls-tree", "-r", "--name-only", str(commit)).splitlines()
    assert {"dopsd/new.py", "dvc.lock", "params.yaml", "lineage/lineage.json", "lineage/images.jsonl"} <= set(listed)
    assert "mine.txt" not in listed
    assert said(root, "show", f"{commit}:dopsd/known.py") == "2"


def test_git_checkout_and_dvc_checkout_bring_everything_back(
    workspace: FakeWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = workspace.root
    kept(root, "dopsd", "v1", RECORD)
    before = sha256_of_folder(root / "data/images")
    workspace.write("photos/b.png", "another")
    repro(workspace, "ingest")
    assert sha256_of_folder(root / "data/images") != before
    clone = tmp_path_factory.mktemp("clone") / "clone"
    said(root, "clone", "--quiet", "--branch", "model/dopsd/v1", str(root), str(clone))
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "cache", "dir", "--local", str(root / ".dvc/cache"), "--quiet"], cwd=clone, check=True)
    subprocess.run([*dvc, "checkout", "--quiet", "data/images"], cwd=clone, check=True)
    assert sha256_of_folder(clone / "data/images") == before


def test_records_are_read_back_in_order(workspace: FakeWorkspace) -> None:
    root = workspace.root
    assert records(root, "dopsd") == {}
    for version in ("v2", "v10", "v1"):
        kept(root, "dopsd", version, RECORD)
    kept(root, "other", "v1", RECORD)
    known = records(root, "dopsd")
    assert list(known) == ["v1", "v2", "v10"]
    assert known["v1"].parent == "base"
    assert known["v1"].captions is None
    assert known["v1"].images == known["v10"].images
    said(root, "tag", "model/dopsd/v11", "HEAD")
    with pytest.raises(ValueError, match="model/dopsd/v11 leads to no record"):
        records(root, "dopsd")


def test_outside_of_git_there_is_no_commit(tmp_path: Path) -> None:
    assert kept(tmp_path, "dopsd", "v1", RECORD) is None
    assert records(tmp_path, "dopsd") == {}
