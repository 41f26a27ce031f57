"""A watched folder: what is whole counts, what grows waits, and no crash loses an image or a run."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.triggers import inbox as seeing
from tasks.triggers import watch as watching
from tasks.triggers.events import Arrived, Fired, Refused, Withdrawn, history
from tasks.triggers.journal import EVENTS, Journal, journal
from tasks.triggers.policy import Policy
from tasks.triggers.sources.source import Unreachable
from tasks.triggers.state import after
from tests.watched import START, FakeStarter, Place, packed, png, taped


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_images_are_named_by_their_pixels_and_come_once(place: Place) -> None:
    place.put("a.png", png(1))
    place.put("copy/b.png", png(1))
    place.put("pack.zip", packed(1, 2))
    place.put("a.txt", b"a caption")
    with place.watched(Policy()) as watch:
        happened, decision = watch.turn(place.now())
        assert [event.file for event in happened if isinstance(event, Arrived)] == ["a.png", "copy/b.png"] + [
            "pack.zip"
        ] * 2
        assert len(watch.journal.state.waiting) == 2
        assert decision.reason == "2 of 8 new images: max_wait is 7d"
        assert watch.turn(place.now())[0] == []


def test_a_file_that_grows_waits_until_it_is_whole(place: Place) -> None:
    place.settled_for_s = 1e-9
    with place.watched() as watch:
        whole = packed(*range(20))
        for end in (10, len(whole) // 2, len(whole) - 1):
            place.put("pack.zip", whole[:end])
            assert watch.turn(place.now())[0] == []
        place.put("pack.zip", whole)
        assert watch.turn(place.now())[0] == []
        happened, _ = watch.turn(place.now())
    assert sum(isinstance(event, Arrived) for event in happened) == 20


@pytest.mark.parametrize(
    ("name", "whole"),
    [("a.png", png(3)), ("a.zip", packed(3, 4)), ("a.tar", taped(3, 4, 5))],
    ids=["png", "zip", "tar"],
)
def test_an_upload_that_stopped_anywhere_counts_for_nothing_until_it_goes_on(
    place: Place, name: str, whole: bytes
) -> None:
    with place.watched(Policy()) as watch:
        for end in [*range(0, len(whole) - 1024, max(1, len(whole) // 23)), 512, 1024, 1536]:
            if end >= len(whole) or not any(whole[end:]):
                continue  # a tar's last blocks of zeros may be cut down to two
            place.put(name, whole[:end])
            happened, _ = watch.turn(place.now())
            assert [type(event) for event in happened] == [Refused], end
        place.put(name, whole)
        assert {type(event) for event in watch.turn(place.now())[0]} == {Arrived}


def test_a_run_learns_what_was_there_when_it_was_asked_for_and_the_next_one_the_rest(place: Place) -> None:
    place.put("a.png", png(1))
    place.put("a.txt", b"one")
    with place.watched() as watch:
        watch.turn(place.now())
        (first,) = place.starter.asked
        place.put("b.png", png(2))
        place.put("a.txt", b"corrected")
        watch.turn(place.now())
        assert place.starter.asked == [first]
        assert place.admitted() == {"a.png", "a.txt"}
        assert (place.root / "source/new/a.txt").read_text() == "one"
        place.starter.ended[first] = "completed"
        watch.turn(place.now())
        assert len(place.starter.asked) == 2
        assert place.admitted() == {"a.png", "a.txt", "b.png"}
        assert (place.root / "source/new/a.txt").read_text() == "corrected"
        place.starter.ended[place.starter.asked[1]] = "completed"
        watch.turn(place.now())
        assert len(watch.journal.state.trained) == 2
        assert watch.turn(place.now())[1].reason == "no new image"


def test_images_of_a_run_that_failed_are_in_the_next_one(place: Place) -> None:
    place.put("a.png", png(1))
    with place.watched() as watch:
        watch.turn(place.now())
        place.starter.ended[place.starter.asked[0]] = "failed"
        watch.turn(place.now())
        assert len(place.starter.asked) == 2
        assert len(watch.journal.state.taken) == 1
        assert place.admitted() == {"a.png"}


def test_what_is_deleted_or_replaced_before_a_run_is_withdrawn_unless_there_is_a_copy(place: Place) -> None:
    for name, number in (("a.png", 1), ("b.png", 2), ("c.png", 3), ("copy-of-c.png", 3)):
        place.put(name, png(number))
    with place.watched(Policy()) as watch:
        watch.turn(place.now())
        (place.root / "inbox/a.png").unlink()
        (place.root / "inbox/c.png").unlink()
        place.put("b.png", png(20))
        happened, _ = watch.turn(place.now())
        assert sum(isinstance(event, Withdrawn) for event in happened) == 3
        assert sorted(arrived.file for arrived in watch.journal.state.waiting.values()) == ["b.png", "copy-of-c.png"]


def test_images_are_noted_while_nobody_can_be_asked_for_a_run(place: Place) -> None:
    place.put("a.png", png(1))
    place.starter.is_reachable = False
    with place.watched() as watch:
        for _ in range(2):
            with pytest.raises(Unreachable):
                watch.turn(place.now())
            place.put("b.png", png(2))
    place.starter.is_reachable = True
    with place.watched() as watch:
        watch.turn(place.now())
        assert len(place.starter.asked) == 1
        assert (len(watch.journal.state.taken), len(watch.journal.state.waiting)) == (1, 1)


def test_a_run_that_nobody_heard_of_is_asked_for_again_but_not_at_each_turn(place: Place) -> None:
    place.put("a.png", png(1))
    place.starter.forgets = True
    with place.watched() as watch:
        watch.turn(place.now())
        place.starter.forgets = False
        watch.turn(place.now())
        assert place.starter.asked == []
        place.clock += 120
        watch.turn(place.now())
        watch.turn(place.now())
        assert len(place.starter.asked) == 1


class _Killed(BaseException):
    """Stands for a kill between two system calls, or in the middle of one."""


def fragile(whole: Callable[..., Any], dice: random.Random) -> Callable[..., Any]:
    """Let a function be killed before it does anything, or after it did all, now and then."""

    def killed_at_times(*args: Any, **kwargs: Any) -> Any:
        if dice.random() < 0.04:
            raise _Killed
        done = whole(*args, **kwargs)
        if dice.random() < 0.04:
            raise _Killed
        return done

    return killed_at_times


@pytest.mark.parametrize("seed", range(3))
def test_killed_anywhere_no_image_is_lost_and_none_is_in_two_completed_runs(
    place: Place, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(seed)
    places = [(watching, "stage"), (watching, "admit"), (seeing, "write_json"), (Journal, "append")]
    for owner, name in (*places, (FakeStarter, "start")):
        monkeypatch.setattr(owner, name, fragile(getattr(owner, name), dice))
    num_kills = 0
    for step in range(25):
        place.put(f"{step}.png", png(step))
        try:
            with place.watched() as watch:
                for _ in range(3):
                    watch.turn(place.now())
                    if (run := watch.journal.state.open_run) and dice.random() < 0.5:
                        place.starter.ended[run.run] = dice.choice(("completed", "completed", "failed"))
        except _Killed:
            num_kills += 1
            if dice.random() < 0.5:  # the last line was being written
                with (place.root / "trigger" / EVENTS).open("ab") as file:
                    file.write(b'{"event": "arr')
    monkeypatch.undo()
    assert num_kills > 5
    with place.watched() as watch:
        while watch.journal.state.waiting or watch.journal.state.open_run:
            watch.turn(place.now())
            place.starter.ended |= {run: "completed" for run in place.starter.asked if run not in place.starter.ended}
    assert place.admitted() == {f"{step}.png" for step in range(25)}
    written = history(place.root / "trigger" / EVENTS).events
    done = [
        image
        for event in written
        if isinstance(event, Fired) and place.starter.ended[event.run] == "completed"
        for image in event.images
    ]
    assert len(done) == len(set(done)) == 25
    assert len(after(written).trained) == 25


def test_a_history_cut_at_any_byte_goes_on_from_its_last_whole_line(place: Place) -> None:
    for number in range(3):
        place.put(f"{number}.png", png(number))
    with place.watched() as watch:
        watch.turn(place.now())
    path = place.root / "trigger" / EVENTS
    whole = path.read_bytes()
    for end in range(0, len(whole), 17):
        path.write_bytes(whole[:end])
        with journal(path.parent) as written:
            assert written.mistakes == ()
            written.append(Refused(at=START, file="x", reason="y"))
        assert path.read_bytes().startswith(whole[: whole.rfind(b"\n", 0, end) + 1])
        assert history(path).mistakes == ()


def test_a_history_has_one_writer(place: Place) -> None:
    with place.watched(), pytest.raises(BlockingIOError, match="one trigger has one watcher"), place.watched():
        pass


def test_a_folder_that_is_not_there_is_told(place: Place) -> None:
    with place.watched() as watch:
        shutil.rmtree(place.root / "inbox")
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*inbox to watch: make it"):
            watch.turn(place.now())


def test_names_that_are_not_utf8_and_hidden_uploads_do_no_harm(place: Place) -> None:
    place.put(".a.png.part", png(1))
    place.put("caf\udce9.png", png(2))
    with place.watched() as watch:
        watch.turn(place.now())
        assert len(place.starter.asked) == 1
        assert len(watch.journal.state.taken) == 1
