"""Workspaces of a run's own: real git, real DVC; what a person has is as it was before, byte for byte."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from dvc.repo import Repo

from tasks.folders import read_json, write_json
from tasks.params import load
from tasks.pipeline import stage
from tasks.planning.selection import Selection
from tasks.runner import history
from tasks.workspaces.flight import alone
from tasks.workspaces.request import digest
from tasks.workspaces.workspace import environment, is_lent, left_out, record, workspace
from tests.fake_workspace import FakeWorkspace
from tests.repository import commit, committed, git, photographed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    """A repository whose models and photos git does not hold, of somebody who never told git their name."""
    (tmp_path / "nobody").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return committed(FakeWorkspace.at(tmp_path / "home"))


def test_a_workspace_is_the_last_commit_on_no_branch_and_is_gone_afterwards(home: FakeWorkspace) -> None:
    home.change("train.learning_rate", 0.5)
    home.write("photos/unknown.png", "not committed")
    home.write("code/tasks/new.py", "X = 1\n")
    git(home.root, "add", "code/tasks/new.py")
    before = photographed(home.root)
    with workspace(home.root) as root:
        assert load(root).train.learning_rate == 0.001
        assert not (root / "code/tasks/new.py").exists()
        assert git(root, "rev-parse", "HEAD") == git(home.root, "rev-parse", "HEAD")
        assert git(root, "branch", "--show-current") == ""
        assert git(root, "status", "--porcelain") == ""
        assert (is_lent(root), is_lent(home.root)) == (True, False)
    assert photographed(home.root) == before
    assert not root.exists()
    assert len(git(home.root, "worktree", "list").splitlines()) == 1
    assert left_out(home.root) == ["code/tasks/new.py", "params.yaml"]


def test_what_git_does_not_hold_is_there_as_it_was_when_the_run_began(home: FakeWorkspace) -> None:
    with workspace(home.root) as root:
        home.write("photos/late.png", "dropped while a run is at work")
        assert [path.name for path in (root / "photos").iterdir()] == ["a.png"]
        assert (root / "models/base/w").samefile(home.root / "models/base/w")
    assert (home.root / "models/base/w").read_text() == "models/base/w"


def test_what_dvc_holds_is_that_of_the_commit(home: FakeWorkspace) -> None:
    with Repo(str(home.root)) as repo:
        repo.add(str(home.root / "photos"))
    git(home.root, "add", "photos.dvc")
    commit(home)
    home.write("photos/late.png", "not added")
    with workspace(home.root) as root:
        assert [path.name for path in (root / "photos").iterdir()] == ["a.png"]


def test_cache_and_remotes_are_those_of_the_home_folder(home: FakeWorkspace) -> None:
    home.write(".dvc/config.local", "[core]\n    remote = mine\n['remote \"mine\"']\n    url = ../far\n")
    with workspace(home.root) as root, Repo(str(root)) as repo:
        assert repo.cache.local.path == str(home.root / ".dvc/cache/files/md5")
        said = repo.config["remote"]
        assert said["storage"]["url"] == str(home.root / ".dvc/storage")
        assert said["mine"]["url"] == str(home.root / "far")
        assert repo.config["core"]["remote"] == "mine"
        assert (root / ".dvc/config.local").stat().st_mode & 0o77 == 0
        first = repo.site_cache_dir
    with workspace(home.root) as root, Repo(str(root)) as repo:
        assert repo.site_cache_dir == first  # what it digested once it need not digest again


def test_two_at_once_have_a_folder_each_and_ask_for_the_same(home: FakeWorkspace) -> None:
    with workspace(home.root) as one, workspace(home.root) as other:
        assert one != other
        keys = {digest(root, Selection(), accept_weak_teacher=False) for root in (one, other, home.root)}
        assert len(keys) == 1
        with (one / "params.yaml").open("a") as params:
            params.write("machine: {memory_gib: {train: 40}}\n")
        assert digest(one, Selection(), accept_weak_teacher=False) in keys
        (one / "photos/b.png").write_text("b")
        assert digest(one, Selection(), accept_weak_teacher=False) not in keys
        assert digest(other, Selection(first="train"), accept_weak_teacher=False) not in keys


def test_two_with_other_params_at_once_do_not_see_each_other(home: FakeWorkspace) -> None:
    with workspace(home.root) as one:
        home.change("caption.placeholder", "[W]")
        commit(home)
        with workspace(home.root) as other:
            command = [sys.executable, "-m", "dvc", "repro", "--quiet", "caption"]
            running = [subprocess.Popen(command, cwd=root) for root in (one, other)]
            assert [process.wait() for process in running] == [0, 0]
            said = [read_json(root / "data/captions/captions.json")["params"] for root in (one, other)]
    assert ["placeholder='[V]'" in said[0], "placeholder='[W]'" in said[1]] == [True, True]
    assert not (home.root / "data").exists()
    with workspace(home.root) as third:  # what was made there is in the cache of all
        assert FakeWorkspace(third).repro("caption") == []


def test_a_stage_with_the_same_inputs_runs_once_in_all_workspaces(home: FakeWorkspace) -> None:
    fingerprinted = [sys.executable, "-m", "tasks.planning.fingerprint"]

    def bring_up_to_date(root: Path) -> None:
        subprocess.run(fingerprinted, cwd=root, check=True)
        with alone(stage("ingest"), root):
            FakeWorkspace(root).repro("--single-item", "ingest")

    with workspace(home.root) as one, workspace(home.root) as other:
        threads = [threading.Thread(target=bring_up_to_date, args=(root,)) for root in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [row["stage"] for row in history(home.root)] == ["ingest"]
        assert read_json(one / "data/images/images.json") == read_json(other / "data/images/images.json")


def test_a_workspace_begins_where_the_last_one_ended(home: FakeWorkspace) -> None:
    with workspace(home.root) as root:
        write_json(root / "data/version/version.json", {"version": "v7"})
        (root / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
        record(root)
    with workspace(home.root) as root:
        assert read_json(root / "data/version/version.json") == {"version": "v7"}
        assert (root / "dvc.lock").read_text() == "schema: '2.0'\nstages: {}\n"
    assert not (home.root / "dvc.lock").exists()


def test_the_checkout_of_a_process_that_was_killed_is_swept_by_the_next(home: FakeWorkspace) -> None:
    script = (
        "import os, signal; from pathlib import Path; from tasks.workspaces.workspace import workspace\n"
        "with workspace(Path()) as root: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=home.root, check=False).returncode == -9
    left = home.root / "runs/workspaces/1/tree"
    assert left.is_dir()
    git(home.root, "worktree", "lock", str(left))  # as git has it while it makes one
    with workspace(home.root) as root:
        assert root == left
    assert not left.exists()
    assert len(git(home.root, "worktree", "list").splitlines()) == 1


def test_neither_hooks_nor_what_a_hook_sets_lead_git_astray(
    home: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch was-here\n")
    (home.root / ".git/hooks/post-checkout").chmod(0o755)
    monkeypatch.setenv("GIT_INDEX_FILE", str(home.root / ".git/index"))
    monkeypatch.setenv("GIT_DIR", str(home.root / ".git"))
    before = (home.root / ".git/index").read_bytes()
    with workspace(home.root) as root:
        assert not (root / "was-here").exists()
    assert (home.root / ".git/index").read_bytes() == before


def test_a_project_below_the_top_of_its_repository_has_a_workspace_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    committed(FakeWorkspace.at(tmp_path / "all/project"), tmp_path / "all")
    with workspace(tmp_path / "all/project") as root:
        assert root.name == "project"
        assert load(root).ingest.source == "photos"
        assert (root / "photos/a.png").is_file()


def test_what_a_workspace_cannot_start_from_is_told(home: FakeWorkspace, tmp_path: Path) -> None:
    empty = FakeWorkspace.at(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"git rev-parse in .*not a git repository"), workspace(empty.root):
        pass
    git(empty.root, "init", "--quiet")
    with pytest.raises(ValueError, match="Needed a single revision"), workspace(empty.root):
        pass
    git(home.root, "rm", "-q", "--cached", "dvc.yaml")
    commit(home)
    with pytest.raises(ValueError, match=r"the last commit holds no dvc.yaml, .*: commit it"), workspace(home.root):
        pass
    assert not (home.root / "runs/workspaces/1/tree").exists()


def test_a_source_outside_of_the_folder_wants_its_whole_path(home: FakeWorkspace) -> None:
    (home.root.parent / "outside").mkdir()
    home.change("ingest.source", "../outside")
    commit(home)
    with pytest.raises(ValueError, match=r"\.\./outside leads out of this folder.*whole path"), workspace(home.root):
        pass


def test_mlflow_remembers_in_the_home_folder(home: FakeWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment(home.root)["MLFLOW_TRACKING_URI"] == f"sqlite:///{home.root}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert environment(home.root)["MLFLOW_TRACKING_URI"] == f"sqlite:///{home.root}/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://far:5000")
    assert environment(home.root)["MLFLOW_TRACKING_URI"] == "http://far:5000"
    assert environment(home.root)["_MLFLOW_SERVER_ARTIFACT_ROOT"] == os.fspath(home.root / "mlruns")
