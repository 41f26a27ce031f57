"""A request is done once for all who make it at the same time; what it came to is told to each."""

import threading
import time
from pathlib import Path

import pytest

from flows.flown import ASKED, asked_now, flown
from flows.summary import Outcome, Summary
from tasks.folders import write_json
from tasks.planning.selection import Selection
from tasks.runner import only_writer
from tasks.versions.shadow import SHADOW
from tests.fake_workspace import FakeWorkspace

FORCED, WHOLE = Selection(until="ingest", force=("ingest",)), Selection(force=("ingest",))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    monkeypatch.chdir(tmp_path)
    return FakeWorkspace.at(tmp_path)


def ask(selection: Selection, asked: float, outcomes: list[Outcome], flights: list[str]) -> Summary:
    def fly() -> list[Outcome]:
        flights.append("flown")
        return outcomes

    with only_writer(Path()):
        return flown(Path(), selection, accept_weak_teacher=False, asked=asked, fly=fly)


def test_five_at_once_in_one_folder_force_a_stage_once(workspace: FakeWorkspace) -> None:
    write_json(workspace.root / "data/version/version.json", {"version": "v1", "verdict": "PROMOTE"})
    asked, flights, summaries = time.time(), list[str](), list[Summary]()
    done = [Outcome("ingest", "ran", 1.0), Outcome("register", "cached", 0.0)]
    threads = [threading.Thread(target=lambda: summaries.append(ask(WHOLE, asked, done, flights))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flights == ["flown"]
    assert sorted(str(summary.outcomes[0].status) for summary in summaries) == ["joined"] * 4 + ["ran"]
    assert {summary.outcomes[1].status for summary in summaries} == {"cached"}
    assert [summary.as_json()["version"] for summary in summaries] == ["v1"] * 5


def test_who_asks_for_something_else_has_a_flight_of_their_own(workspace: FakeWorkspace) -> None:
    asked, flights, done = time.time(), list[str](), [Outcome("ingest", "ran", 1.0)]
    ask(FORCED, asked, done, flights)
    ask(Selection(until="ingest"), asked, done, flights)
    workspace.change("ingest.min_side_px", 17)
    ask(FORCED, asked, done, flights)
    workspace.write("photos/b.png", "another")
    ask(FORCED, asked, done, flights)
    workspace.write("photos/b.png", "another")  # the same bytes
    ask(FORCED, asked, done, flights)
    assert len(flights) == 4


def test_a_failure_is_told_to_those_who_waited_and_tried_again_by_those_who_ask_later(
    workspace: FakeWorkspace,
) -> None:
    asked, flights, failed = time.time(), list[str](), [Outcome("ingest", "failed", 1.0)]
    assert not ask(FORCED, asked, failed, flights).is_joined
    joined = ask(FORCED, asked, failed, flights)
    assert (joined.is_joined, joined.is_done, joined.outcomes) == (True, False, failed)
    ask(FORCED, time.time(), failed, flights)
    assert len(flights) == 2


def test_a_mistake_lands_nothing(workspace: FakeWorkspace) -> None:
    def mistake() -> list[Outcome]:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        flown(Path(), FORCED, accept_weak_teacher=False, asked=0.0, fly=mistake)
    flights: list[str] = []
    ask(FORCED, 0.0, [Outcome("ingest", "ran", 1.0)], flights)
    assert flights == ["flown"]


def test_a_child_knows_when_its_person_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_now() >= time.time() - 1
    monkeypatch.setenv(ASKED, "12.5")
    assert asked_now() == 12.5


def test_one_whose_time_was_up_answers_for_nobody_else(workspace: FakeWorkspace) -> None:
    asked, flights = time.time(), list[str]()
    assert ask(FORCED, asked, [Outcome("ingest", "deferred", 0.0)], flights).outcomes[-1].status == "deferred"
    assert ask(FORCED, asked, [Outcome("ingest", "ran", 1.0)], flights).outcomes[-1].status == "ran"
    assert len(flights) == 2


def test_a_run_in_the_shadow_answers_for_none_that_counts(
    workspace: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, flights, done = time.time(), list[str](), [Outcome("ingest", "ran", 1.0)]
    with monkeypatch.context() as shadow:
        shadow.setenv(SHADOW, "yes")
        ask(FORCED, asked, done, flights)
    ask(FORCED, asked, done, flights)
    assert len(flights) == 2
