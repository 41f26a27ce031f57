"""`dopsd trigger`: the runs that it would have started, what it says of mistakes, and where images stand."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from tasks.triggers.events import Fired, history
from tasks.triggers.journal import journal
from tests.fake_workspace import FakeWorkspace

EVENTS = """\
{"event": "arrived", "at": "2026-11-21T08:00:00Z", "image": "a"}
{"event": "arrived", "at": "2026-11-21T08:01:00Z", "image": "b"}
{"event": "refused", "at": "2026-11-21T08:01:30Z", "file": "c.png", "reason": "it is broken"}
{"event": "arrived", "at": "2026-11-21T08:02:00Z", "image": "b"}
{"event": "arrived", "at": "2026-11-21T08:20:00Z", "image": "c"}
{"event": "arrived", "at": "2026-11-22T08:00:00Z", "image": "d"}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.jsonl").write_text(EVENTS)
    (tmp_path / "policy.yaml").write_text("min_new_images: 2\nquiet_for: 5m\nmax_wait: 1d\ncooldown: 1h\n")
    return tmp_path


def simulated(*more: str) -> Result:
    return CliRunner().invoke(app, ["trigger", "simulate", "events.jsonl", "--policy", "policy.yaml", *more])


def test_the_runs_that_would_have_started_are_printed(here: Path) -> None:
    result = simulated("--json")
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert [(fire["run"], fire["at"], fire["images"]) for fire in said["fires"]] == [
        ("run-0001", "2026-11-21T08:06:00Z", ["a", "b"]),
        ("run-0002", "2026-11-22T08:05:00Z", ["c", "d"]),
    ]
    assert said["left"] == []
    assert "run-0002  2026-11-22 08:05:00+00:00       2  2 new images" in simulated().stdout


def test_longer_runs_and_higher_bars_change_what_starts(here: Path) -> None:
    fires = json.loads(simulated("--run-takes", "2d", "--json").stdout)["fires"]
    assert [fire["at"] for fire in fires] == ["2026-11-21T08:06:00Z", "2026-11-23T09:06:00Z"]
    (here / "policy.yaml").write_text("min_new_images: 5\nmax_wait: null")
    assert simulated().stdout == "no run would have started\nleft: 4 images, as there are 4 of 5 new images\n"


def test_a_wrong_policy_a_missing_history_and_a_wrong_line_are_told(here: Path) -> None:
    (here / "events.jsonl").write_text(EVENTS + '{"event": "arrived", "at": "now", "image": "e"}\n')
    result = simulated("--json")
    assert result.exit_code == 0
    assert "left out: events.jsonl, line 7: at is 'now': input should be a valid datetime" in result.stderr
    assert len(json.loads(result.stdout)["fires"]) == 2
    (here / "policy.yaml").write_text("min_new_images: none")
    result = simulated()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "policy.yaml: min_new_images is 'none': input should be a valid integer" in result.stderr
    (here / "events.jsonl").unlink()
    assert "there is no history events.jsonl" in simulated().stderr
    assert "run_takes" not in simulated("--run-takes", "long").stderr


def watched(*more: str) -> Result:
    return CliRunner().invoke(app, ["trigger", "watch", "inbox", "--policy", "policy.yaml", *more])


def test_what_cannot_be_watched_is_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    FakeWorkspace.at(here / "box")
    monkeypatch.chdir(here / "box")
    shutil.copy(here / "policy.yaml", here / "box")
    (here / "box/inbox").mkdir()
    assert "no Prefect server is known here: `dopsd up` starts one, or set PREFECT_API_URL" in watched().stderr
    assert "--name is '../up': use letters, digits, - and _" in watched("--name", "../up").stderr
    assert "write a time span with its units" in watched("--every", "often").stderr
    for source in ("inbox", "inbox/new", "."):
        FakeWorkspace(here / "box").change("ingest.source", source)
        result = watched()
        assert result.exit_code == 1
        assert f"inbox and ingest.source of params.yaml ({source}) are one folder, or within" in result.stderr


def test_a_source_that_git_holds_is_told_as_workers_would_not_see_what_is_new(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeWorkspace.at(here)
    (here / "inbox").mkdir()
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for words in (["init", "--quiet"], ["add", "photos"]):
        subprocess.run(["git", *words], cwd=here, check=True)
    assert "ingest.source of params.yaml (photos) is in git" in watched().stderr
    FakeWorkspace(here).change("ingest.source", "pictures")
    assert "no Prefect server is known here" in watched().stderr


def test_triggers_are_listed_with_where_their_images_stand(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no trigger" in CliRunner().invoke(app, ["trigger", "list"]).stdout
    with journal(here / "runs/triggers/new") as written:
        for said in history(here / "events.jsonl").events:
            written.append(said)
        at = written.state.newest
        assert at is not None
        written.append(Fired(at=at, run="new-1", images=("a", "c"), reason=""))
        listed = CliRunner().invoke(app, ["trigger", "list"])
        assert listed.stdout.splitlines()[-1].split() == ["new", "watched", "2", "2", "0", "1", "new-1"]
        assert listed.stderr == "new: c.png: it is broken\n"
    assert "not watched" in CliRunner().invoke(app, ["trigger", "list"]).stdout
