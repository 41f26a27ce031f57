"""A stage between two machines that share git's remote and DVC's, and nothing else; real git, real DVC."""

import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from tasks.errands import errand as errands
from tasks.errands.baggage import bring_outcome, send, send_outcome
from tasks.errands.errand import Errand, errand, fetch, take_up
from tasks.folders import read_json, write_json
from tasks.params import load
from tasks.pipeline import stage
from tasks.planning.code_record import refresh
from tasks.planning.installation import POOL, numerics
from tasks.planning.plan import plan
from tasks.planning.row import Decision
from tasks.planning.selection import Selection
from tasks.workspaces.flight import going_on
from tasks.workspaces.workspace import workspace
from tests.fake_workspace import FakeWorkspace
from tests.repository import commit, committed, git


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    """The clone of who sends: images were taken in, and lie in its own cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = committed(FakeWorkspace.at(tmp_path / "here"))
    made.edit(".dvc/config", "url = storage", f"url = {tmp_path / 'remote'}")
    commit(made)
    git(tmp_path, "clone", "--quiet", "--bare", "here", "git")
    git(made.root, "remote", "add", "origin", str(tmp_path / "git"))
    git(made.root, "fetch", "--quiet", "origin")
    write_json(made.root / "data/images/images.json", {"photos": ["a"]})
    monkeypatch.chdir(made.root)
    recorded("ingest")
    return made


@pytest.fixture
def there(here: FakeWorkspace, tmp_path: Path) -> Path:
    """A clone on another machine, with the models."""
    git(tmp_path, "clone", "--quiet", "git", "there")
    shutil.copytree(here.root / "models", tmp_path / "there/models")
    return tmp_path / "there"


@pytest.fixture
def asked(here: FakeWorkspace) -> Errand:
    """Its captions, with a word that only the folder's params.yaml says."""
    here.change("caption.instruction", "look")
    found = errand(stage("caption"), here.root, is_forced=False, is_upstream_stale=False)
    send("caption", here.root)
    return found


@pytest.fixture
def lent(asked: Errand, there: Path) -> Iterator[Path]:
    with workspace(there, asked.commit) as root:
        yield root


def recorded(name: str) -> None:
    """Let DVC keep what lies in the current folder as if the stage had made it."""
    refresh(Path())
    with Repo() as repo:
        repo.commit(name, force=True)


def caption(asked: Errand, root: Path, said: str) -> None:
    """Do what a worker does."""
    with chdir(root):
        take_up(asked, Path())
        write_json(Path("data/captions/captions.json"), said)
        recorded("caption")
        send_outcome("caption", Path())


def test_what_was_made_elsewhere_is_a_hit_here(here: FakeWorkspace, asked: Errand, lent: Path) -> None:
    assert not bring_outcome("caption", here.root)
    caption(asked, lent, "a star")
    assert read_json(lent / "data/images/images.json") == {"photos": ["a"]}
    assert load(lent).caption.instruction == "look"
    assert bring_outcome("caption", here.root)
    (row,) = plan(here.root, Selection(only="caption")).rows
    assert (row.decision, row.reasons[-1]) == (Decision.CACHED, "its output is in the cache")
    with Repo(str(here.root)) as repo:
        repo.reproduce("caption", single_item=True)
    assert here.ran() == []
    assert read_json(here.root / "data/captions/captions.json") == "a star"


def test_of_two_runs_of_the_same_the_last_one_counts(here: FakeWorkspace, asked: Errand, lent: Path) -> None:
    caption(asked, lent, "a star")
    assert bring_outcome("caption", here.root)
    caption(asked, lent, "another star")
    assert bring_outcome("caption", here.root)
    with Repo(str(here.root)) as repo:
        repo.reproduce("caption", single_item=True)
    assert read_json(here.root / "data/captions/captions.json") == "another star"


def test_what_a_worker_could_not_get_is_refused_before_it_is_sent(here: FakeWorkspace) -> None:
    here.code("caption", "edited")
    with pytest.raises(ValueError, match=r"^code/tasks/caption.py is not committed, .*: commit it, and `git push`$"):
        errand(stage("caption"), here.root, is_forced=False, is_upstream_stale=False)
    commit(here)
    with pytest.raises(ValueError, match=r"^no remote has the commit .* gets it from there: `git push`$"):
        errand(stage("caption"), here.root, is_forced=False, is_upstream_stale=False)
    here.write(".dvc/config", "[core]\n    analytics = false\n")
    with pytest.raises(ValueError, match=r"DVC has no remote, .*`dvc remote add --default NAME URL`"):
        send("caption", here.root)


def test_a_machine_with_another_model_or_library_computes_nothing(asked: Errand, lent: Path, there: Path) -> None:
    (lent / "models/vlm/w").unlink()
    (lent / "models/vlm/w").write_text("another")
    asked.installed["packages"]["torch"] = "1.0"
    differ = r"is not like .*: torch is \S+ here and 1.0 there, .*; models/vlm is \w+"
    with chdir(lent), pytest.raises(ValueError, match=differ):
        take_up(asked, Path())


def test_a_machine_that_would_keep_the_curves_to_itself_is_told(
    asked: Errand, lent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands.platform, "node", lambda: "elsewhere")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ValueError, match="start the worker with MLFLOW_TRACKING_URI"):
        take_up(asked, lent)


def test_a_commit_that_is_missing_is_fetched(here: FakeWorkspace, there: Path) -> None:
    here.code("caption", "edited")
    commit(here)
    new = git(here.root, "rev-parse", "HEAD")
    with pytest.raises(ValueError, match="git cat-file"):
        fetch(new, there)
    git(here.root, "push", "--quiet", "origin", "HEAD")
    fetch(new, there)
    with workspace(there, new) as root:
        assert "edited" in (root / "code/tasks/caption.py").read_text()


def test_who_died_leaves_what_the_next_goes_on_from(asked: Errand, there: Path) -> None:
    for found in ([], ["state"]):
        with workspace(there) as root, pytest.raises(KeyError), going_on(root, asked.key):
            assert [path.name for path in (root / "runs/caption").iterdir()] == found
            (root / "runs/caption/state").touch()
            raise KeyError
    with workspace(there) as root, going_on(root, asked.key):
        pass
    with workspace(there) as root, going_on(root, asked.key):
        assert list((root / "runs/caption").iterdir()) == []


def test_where_stages_are_sent_the_numbers_are_those_of_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POOL, "cuda")
    assert numerics() == {"device": "cuda", "dtype": "bfloat16"}
    monkeypatch.setenv(POOL, "tpu")
    with pytest.raises(ValueError, match=r"DOPSD_POOL is 'tpu': .*, cuda or cpu"):
        numerics()
