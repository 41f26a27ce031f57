"""A version made again in a clean clone is what it was, or the stage where it begins to differ is named.

Git, DVC and MLflow are real; the stages' work is cheap, but in what is slow.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from dvc.repo import Repo
from typer.testing import CliRunner, Result

from dopsd.gate import Decision, Verdict
from dopsd.weights.trained import FILE
from flows import rebuilding
from flows.cli import app
from tasks import runner, tracking
from tasks.ancestry.records import LINEAGE
from tasks.folders import sha256_of_file
from tasks.git import said
from tasks.params import load, resolved
from tasks.pipeline import STAGES, Stage, stage
from tasks.planning.code_record import refresh
from tasks.rebuilding import conditions
from tasks.versions import promotion
from tasks.versions.pushed import push
from tasks.versions.version_commit import kept
from tests.fake_workspace import LEARN, FakeWorkspace, body
from tests.registered import as_it_was
from tests.repository import committed

ROOT = Path(__file__).parents[2]
MADE = ["caption", "embed", "train"]
STAGES_OF_WEIGHTS = ["ingest", "caption", "embed", "probe", "train"]
EVERYTHING = ("--keep-rejected", "0s", "--keep-recent", "0s", "--remote", "storage")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> FakeWorkspace:
    """v1 on the base, v2 from v1 as its commit says, v3 the same by captions that its commit's code does not write.

    v4 learnt from a photo more and was rejected. The folder went back to before all this, but for runs/.
    """
    made = FakeWorkspace.at(tmp_path_factory.mktemp("project"))
    made.code("train", LEARN)
    committed(made)
    shutil.copyfile(empty_store, made.root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        _stand_in(patch)
        _keep(made, "v1", Verdict.PROMOTE)
        shutil.copytree(made.root / "data/adapter", made.root / "runs/parents/v1")
        made.change("train.parent", "v1")
        _keep(made, "v2", Verdict.PROMOTE)
        made.edit("code/tasks/caption.py", "SALT = 0", "SALT = 1")
        _record(made, "v3", Verdict.HOLD)
        made.write("photos/b.png", "another")
        _keep(made, "v4", Verdict.REJECT)
    said(made.root, "checkout", "--quiet", "params.yaml", "code")
    (made.root / "dvc.lock").unlink()
    for name in ("photos", "data"):
        shutil.rmtree(made.root / name)
    return made


def _stand_in(patch: pytest.MonkeyPatch) -> None:
    """Let the stages of this process do cheap work."""
    for row in STAGES:
        patch.setitem(sys.modules, row.module, SimpleNamespace(run=body(row.name)))


def _keep(made: FakeWorkspace, version: str, verdict: Verdict) -> None:
    """Run the stages up to the weights, let DVC keep what they made, and keep all of it as a version."""
    for name in STAGES_OF_WEIGHTS:
        runner.run(stage(name), made.root)
    refresh(made.root)
    with Repo(str(made.root)) as repo:
        for name in STAGES_OF_WEIGHTS:
            repo.commit(name, force=True)
    _record(made, version, verdict)


def _record(made: FakeWorkspace, version: str, verdict: Verdict) -> None:
    """Keep a version as a commit; the registry gets its number and its run, the ledger its verdict."""
    params, store = load(made.root), tracking.connect()
    run_id = tracking.new_run(store, params)
    weights = sha256_of_file(made.root / "data/adapter" / FILE)
    told = {"parent": params.train.parent, "adapter": weights, "params": resolved(params)}
    lineage = told | {"is_weak_teacher_accepted": False}
    entered = {"by": "a", "trigger": "a person", "at": "2026-10-01T12:00:00+00:00"}
    record = {"mlflow_run_id": run_id, "entered": entered, "lineage": lineage}
    kept(made.root, "dopsd", version, {LINEAGE: json.dumps(record)})
    if version == "v1":
        store.create_registered_model("dopsd")
    store.create_model_version("dopsd", f"runs:/{run_id}", run_id)
    rival = promotion.rival("dopsd", version, made.root)
    promotion.decide("dopsd", version, Decision(verdict, ()), rival=rival, evidence={}, root=made.root)


@pytest.fixture(autouse=True)
def inside(project: FakeWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def reproduced(*words: str) -> Result:
    return CliRunner().invoke(app, ["model", "reproduce", *words])


def test_weights_come_out_as_they_were_and_were_computed(project: FakeWorkspace, tmp_path: Path) -> None:
    before = project.ran()
    result = reproduced("v2", "--keep", str(tmp_path / "v2"))
    assert result.exit_code == 0, result.stderr
    assert "v2 is what it was, bit by bit" in result.stderr
    assert FakeWorkspace(tmp_path / "v2").ran() == MADE
    assert project.ran() == before
    assert "is there already" in reproduced("v2", "--keep", str(tmp_path / "v2")).stderr


def test_the_first_stage_that_gives_something_else_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch)
    monkeypatch.setattr(rebuilding, "_run", _run_here)
    result = reproduced("v3", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["is_alike"], found["differing"]) == (1, False, MADE)
    assert found["distance"]["relative"] > 0


def _run_here(row: Stage, there: Path) -> None:
    """Spare the process."""
    runner.run(row, there)


def test_other_libraries_and_other_models_are_told_before_anything_runs(
    project: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(conditions, "versions", lambda names: dict.fromkeys(names, "9"))
        told = reproduced("v1").stderr
        assert "torch is 9 here, it was" in told
        assert "--despite-environment" in told
    project.write("models/base/w", "others")
    assert "models/base digests to" in reproduced("v1").stderr
    shutil.rmtree(project.root / "models/base")
    assert "there is no models/base" in reproduced("v1").stderr
    project.write("models/base/w", "models/base/w")


def test_a_version_that_is_not_there_is_told(project: FakeWorkspace) -> None:
    result = reproduced("v7")
    assert result.exit_code == 1
    assert "there is no record of v7 of dopsd; there is v1, v2, v3, v4" in result.stderr


@pytest.fixture
def gone(project: FakeWorkspace, tmp_path: Path) -> Iterator[set[str]]:
    """Let gc give v4 up, here and in the remote that had everything; gives what kinds of things went."""
    with as_it_was(project.root, tmp_path):
        push(project.root, "dopsd")
        done = CliRunner().invoke(app, ["gc", "apply", "--yes", "--json", *EVERYTHING])
        yield {row["kind"] for row in json.loads(done.stdout)}
    shutil.rmtree(project.root / ".dvc/storage")


def test_what_gc_leaves_of_a_version_is_enough_to_make_it_again(
    project: FakeWorkspace, gone: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(monkeypatch)
    monkeypatch.setattr(rebuilding, "_run", _run_here)
    assert gone == {"version", "run cache", "object", "remote object", "entry", "parent"}
    assert "v2 is what it was, bit by bit" in reproduced("v2").stderr
    shutil.rmtree(project.root / ".dvc/cache")
    for version in ("v1", "v2"):
        assert f"{version} is what it was, bit by bit" in reproduced(version).stderr


@pytest.mark.usefixtures("gone")
def test_of_a_version_that_was_given_up_that_is_told() -> None:
    result = reproduced("v4")
    assert result.exit_code == 1
    assert "`dopsd gc` gave v4 up (rejected more than 0s ago)" in result.stderr
    assert "is neither in DVC's cache nor in its remote" in result.stderr


@pytest.mark.slow
def test_the_sample_trains_to_the_same_bits_again(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    said(ROOT, "clone", "--quiet", str(ROOT), str(clone))
    for words in (["run"], ["model", "reproduce", "v1"]):
        subprocess.run([sys.executable, "-m", "flows.cli", *words], cwd=clone, check=True)
