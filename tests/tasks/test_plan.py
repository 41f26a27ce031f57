"""The plan says what DVC will do, before it does it; the stages' work is cheap here, DVC is real.

The first run, and one that is killed, are processes; the others spare them.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.pipeline import STAGES
from tasks.planning.plan import plan
from tasks.planning.row import Decision
from tests.fake_workspace import HANG, FakeWorkspace
from tests.one_process import repro

ALL = [row.name for row in STAGES]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> FakeWorkspace:
    """A workspace in which all stages ran once, each as a process."""
    workspace = FakeWorkspace.at(tmp_path_factory.mktemp("done"))
    assert [row.decision for row in plan(workspace.root).rows] == [Decision.RUN] * len(ALL)
    assert workspace.repro() == ALL
    return workspace


@pytest.fixture
def workspace(done: FakeWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    """A copy of it."""
    shutil.copytree(done.root, tmp_path, dirs_exist_ok=True, symlinks=True)
    monkeypatch.chdir(tmp_path)
    return FakeWorkspace(tmp_path)


def decided(workspace: FakeWorkspace) -> dict[str, list[str]]:
    rows = plan(workspace.root).rows
    return {word: [row.name for row in rows if row.decision == word] for word in Decision}


def test_after_a_run_there_is_nothing_to_do(workspace: FakeWorkspace) -> None:
    found = plan(workspace.root)
    assert found.is_idle, found


CHANGES: dict[str, tuple[Callable[[FakeWorkspace], object], list[str], str]] = {
    "an image": (lambda w: (w.root / "photos/b.png").write_text("b"), ["ingest"], "data: photos changed"),
    "code": (lambda w: w.code("train", "x"), ["train"], "code: tasks/train.py::run changed"),
    "a param": (
        lambda w: w.change("train.learning_rate", 0.002), ["train"], "params: train.learning_rate 0.001 -> 0.002",
    ),
    "a new param": (lambda w: w.change("embed.batch_size", 3), ["embed"], "params: embed.batch_size (nothing) -> 3"),
    "a model": (
        lambda w: w.write("models/dino/w", "x"), ["probe", "evaluate"], "model: revision of models/dino",
    ),
    "a lost output": (
        lambda w: (shutil.rmtree(w.root / "data/version")), ["register"], "output data/version is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_named_and_what_depends_on_it_waits(workspace: FakeWorkspace, change: str) -> None:
    make, runs, reason = CHANGES[change]
    make(workspace)
    found = decided(workspace)
    assert found["RUN"] == runs
    assert reason in " ".join(reason for row in plan(workspace.root).rows for reason in row.reasons)
    before = ALL.index(runs[0])
    assert not set(ALL[:before]) & {*found["RUN"], *found["MAYBE"]}
    ran = repro(workspace)
    assert set(runs) <= set(ran) <= {*found["RUN"], *found["MAYBE"]}
    found = plan(workspace.root)
    assert found.is_idle, found


def test_a_deleted_output_that_the_cache_holds_is_restored_and_nothing_runs(workspace: FakeWorkspace) -> None:
    shutil.rmtree(workspace.root / "data/captions")
    row = plan(workspace.root).rows[1]
    assert (row.decision, row.reasons) == (
        Decision.CACHED,
        ("output data/captions is missing", "its output is in the cache"),
    )
    assert not row.is_idle
    assert repro(workspace) == []


def test_outputs_that_are_lost_from_the_cache_are_made_again(workspace: FakeWorkspace) -> None:
    shutil.rmtree(workspace.root / ".dvc/cache")
    assert decided(workspace) == {"RUN": ["ingest"], "CACHED": [], "MAYBE": ALL[1:]}
    assert repro(workspace)[:6] == ALL[:6]  # register waits: what is made again may be the same bytes


def test_what_dvc_gc_took_is_made_again_though_the_run_cache_names_it(workspace: FakeWorkspace) -> None:
    for size in (3, 8):
        workspace.change("embed.batch_size", size)
        repro(workspace, "embed")
    workspace.change("embed.batch_size", 3)
    assert plan(workspace.root).rows[2].decision is Decision.CACHED
    subprocess.run([sys.executable, "-m", "dvc", "gc", "--workspace", "--force"], cwd=workspace.root, check=True)
    assert plan(workspace.root).rows[2].decision is Decision.RUN
    assert repro(workspace, "embed") == ["embed"]


def test_a_run_that_is_killed_leaves_nothing_locked(workspace: FakeWorkspace) -> None:
    workspace.change("register.model", "another")
    begun, command = workspace.root / "begun", [sys.executable, "-m", "dvc", "repro", "--quiet"]
    with subprocess.Popen(command, cwd=workspace.root, env=os.environ | {HANG: f"register:{begun}"}) as child:
        while not begun.exists():
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
    assert plan(workspace.root).rows[-1].decision is Decision.RUN
    assert repro(workspace) == ["register"]
    assert plan(workspace.root).is_idle


def test_taking_a_change_back_restores_all_but_the_registration(workspace: FakeWorkspace) -> None:
    workspace.change("embed.batch_size", 3)
    assert repro(workspace) == ["embed", "probe", "train", "evaluate", "register"]
    workspace.change("embed.batch_size", 8)
    repro(workspace)
    workspace.change("embed.batch_size", 3)
    found = decided(workspace)
    assert found == {"RUN": ["register"], "CACHED": ALL[:-1], "MAYBE": []}
    assert repro(workspace) == ["register"]


def test_planning_changes_nothing(workspace: FakeWorkspace) -> None:
    workspace.change("embed.batch_size", 3)
    files = {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*") if "tmp" not in path.parts[-3:]}
    plan(workspace.root)
    after = {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*") if "tmp" not in path.parts[-3:]}
    assert {path for path in files if path.is_file()} == {path for path in after if path.is_file()}


def test_a_section_that_is_not_said_is_asked_for(workspace: FakeWorkspace) -> None:
    workspace.set_params({"models": {"family": "x"}})
    with pytest.raises(ValueError, match="ingest is missing; add"):
        plan(workspace.root)
