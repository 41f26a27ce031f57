"""Progress goes to stderr and hands everything on."""

import pytest

from tasks import progress


def test_what_is_tracked_arrives_unchanged_and_stdout_stays_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.track(range(5), 5, "embed")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""


def test_lines_tell_what_is_done_how_fast_and_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0)
    list(progress.track(range(2), 4, "train", start=2))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("  train: 3/4, ")
    assert lines[1].endswith("0 s left")
    assert lines[2].startswith("  train: 4 done in")


def test_an_unknown_total_is_no_trouble(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0)
    assert list(progress.track(iter("ab"), None, "caption")) == ["a", "b"]
    assert capsys.readouterr().err.startswith("  caption: 1, ")
