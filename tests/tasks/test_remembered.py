"""What was reached is remembered for exactly the texts it was reached in; a spoilt memory costs time alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.pipeline import STAGES
from tasks.planning.reach import Reached
from tasks.planning.remembered import KEPT, remembered

SOURCES = {"tasks/train.py": "def run(): ..."}
FOUND = {"train": Reached({"tasks/train.py::run": "0a1b"}, {"torch", "PIL"}, ["tasks/train.py:1: eval"])}


class Following:
    """Count how often the code was followed."""

    def __init__(self, found: dict[str, Reached]) -> None:
        self.found, self.times = found, 0

    def __call__(self) -> dict[str, Reached]:
        self.times += 1
        return self.found


@pytest.fixture
def follow() -> Following:
    return Following(FOUND)


def ask(root: Path, follow: Following, **changed: str) -> dict[str, Reached]:
    return remembered(SOURCES | changed, STAGES, root, follow)


def test_the_same_code_is_followed_once_and_found_as_it_was(tmp_path: Path, follow: Following) -> None:
    assert [ask(tmp_path, follow), ask(tmp_path, follow)] == [FOUND, FOUND]
    assert follow.times == 1


def test_another_text_another_file_or_another_stage_is_followed_again(tmp_path: Path, follow: Following) -> None:
    ask(tmp_path, follow)
    ask(tmp_path, follow, **{"tasks/train.py": "def run(): return 1"})
    ask(tmp_path, follow, **{"tasks/more.py": ""})
    remembered(SOURCES, STAGES[1:], tmp_path, follow)
    assert follow.times == 4


def _torn(text: str) -> str:
    return text[:-20]


def _flipped(text: str) -> str:
    return text.replace("0a1b", "0a1c")


def _no_mapping(text: str) -> str:
    return json.dumps([1, 2])


@pytest.mark.parametrize("spoil", [_torn, _flipped, _no_mapping])
def test_a_spoilt_memory_is_followed_again_and_mended(
    tmp_path: Path, follow: Following, spoil: Callable[[str], str]
) -> None:
    ask(tmp_path, follow)
    (tmp_path / KEPT).write_text(spoil((tmp_path / KEPT).read_text()))
    assert ask(tmp_path, follow) == FOUND
    assert ask(tmp_path, follow) == FOUND
    assert follow.times == 2


def test_where_nothing_can_be_kept_the_code_is_followed_each_time(tmp_path: Path, follow: Following) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    assert [ask(tmp_path, follow), ask(tmp_path, follow)] == [FOUND, FOUND]
    assert follow.times == 2
