"""One value of params.yaml changes; every other character stays."""

from pathlib import Path

from tasks.override import override
from tasks.params import PARAMS_FILE

ROOT = Path(__file__).parents[2]


def test_all_but_the_value_stays_as_it_was(tmp_path: Path) -> None:
    text = (ROOT / PARAMS_FILE).read_text()
    (tmp_path / PARAMS_FILE).write_text(text)
    assert override(tmp_path, "train.parent", "v3")
    changed = (tmp_path / PARAMS_FILE).read_text()
    pairs = [(old, new) for old, new in zip(text.splitlines(), changed.splitlines(), strict=True) if old != new]
    assert [new.split()[:2] for _, new in pairs] == [["parent:", "v3"]]
    assert override(tmp_path, "train.parent", "base")


def test_a_value_that_stands_there_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / PARAMS_FILE).write_text("train: {parent: base}\n")
    assert not override(tmp_path, "train.parent", "base")


def test_a_section_that_is_missing_is_added(tmp_path: Path) -> None:
    (tmp_path / PARAMS_FILE).write_text("train: {parent: base}\n")
    assert override(tmp_path, "replay.share", 0.5)
    assert (tmp_path / PARAMS_FILE).read_text() == "train: {parent: base}\nreplay:\n  share: 0.5\n"
