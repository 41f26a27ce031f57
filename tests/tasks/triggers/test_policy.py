"""A policy or an event that is wrong: told with its key and the mend; a history goes on without the wrong line."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.triggers.events import event, history, line
from tasks.triggers.policy import Policy, duration, load, spelled

GOOD = {"event": "arrived", "at": "2026-11-21T18:00:00Z", "image": "a"}


@pytest.mark.parametrize("text", ["0s", "45s", "10m", "1h30m", "7d", "1d1h1m1s"])
def test_a_span_is_read_as_it_is_spelled(text: str) -> None:
    assert spelled(duration(text)) == text


def test_what_is_not_said_has_the_default(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "some.yaml").write_text("quiet_for: 90s\nmax_wait: null\ncooldown: 0\n")
    assert load(tmp_path / "empty.yaml") == Policy()
    assert load(tmp_path / "some.yaml") == Policy(quiet_for=timedelta(seconds=90), max_wait=None, cooldown=timedelta())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_new_imags: 3", "min_new_imags is no key; did you mean min_new_images?"),
        ("xyz: 3", "xyz is no key; there are min_new_images, quiet_for, max_wait, cooldown, max_runs_per_day"),
        ("min_new_images: 0", "min_new_images is 0: input should be greater than or equal to 1"),
        ("min_new_images: many", "min_new_images is 'many': input should be a valid integer"),
        ("quiet_for: 10", "quiet_for is 10: write a time span with its units, such as 45s, 10m, 1h30m or 7d"),
        ("quiet_for: 10x", "quiet_for is '10x': write a time span"),
        ("quiet_for: ''", "quiet_for is '': write a time span"),
        ("quiet_for: -1", "quiet_for is -1: write a time span"),
        ("quiet_for: true", "quiet_for is True: write a time span"),
        ("max_wait: 1m", "max_wait (1m) is shorter than quiet_for (10m), which would never decide: raise the one"),
        ("- a", "holds ['a']: write keys and values (min_new_images, quiet_for"),
        ("a: [", "is not YAML: "),
    ],
)
def test_a_mistake_in_a_policy_names_its_key_and_the_mend(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(ValueError) as told:
        load(path)
    assert message in str(told.value)
    assert str(told.value).startswith(str(path))


def test_a_policy_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no policy .*none.yaml: write one"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (GOOD | {"imag": "b"}, "imag is no key; did you mean image?"),
        ({**GOOD, "image": ""}, "image is '': string should have at least 1 character"),
        ({**GOOD, "at": "yesterday"}, "at is 'yesterday': input should be a valid datetime"),
        ({**GOOD, "at": "2026-11-21T18:00:00"}, "at is '2026-11-21T18:00:00': input should have timezone info"),
        ({**GOOD, "at": 1e30}, "at is 1e+30: "),
        ({**GOOD, "at": "9999-01-01T00:00:00Z"}, "write a time between the years 2000 and 3000"),
        ({"event": "arrived"}, "at is missing; add it"),
        ({"event": []}, "event is []: choose one of arrived, withdrawn, refused, fired, ended"),
        ({}, "event is None: choose one of arrived"),
        (["arrived"], "['arrived'] is no event: write an object with the key event"),
    ],
)
def test_a_mistake_in_an_event_names_its_key_and_the_mend(said: Any, message: str) -> None:
    with pytest.raises(ValueError) as told:
        event(said, "here")
    assert message in str(told.value)
    assert str(told.value).startswith("here: ")


def test_a_line_that_is_no_event_is_told_and_harms_nothing(tmp_path: Path) -> None:
    good = event(GOOD, "here")
    path = tmp_path / "events.jsonl"
    path.write_bytes(line(good).encode() + b"\xff\n{\n\n" + b"[" * 100_000 + b"\n" + line(good).encode()[:-1])
    found = history(path)
    assert found.events == (good, good)
    assert [mistake.split(",")[1].split(" is not")[0] for mistake in found.mistakes] == [
        " line 2",
        " line 3",
        " line 5",
    ]
