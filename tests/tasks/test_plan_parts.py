"""The parts of a plan that need no workspace: which stages have their turn, how long they take, what came and went."""

from pathlib import Path

import pytest

from tasks.folders import read_json, write_json
from tasks.pipeline import STAGES
from tasks.planning.durations import clock, expected
from tasks.planning.selection import Selection
from tasks.planning.staleness import ACCEPTED, mark, upstream
from tasks.planning.trees import difference

ALL = [row.name for row in STAGES]


def names(selection: Selection) -> tuple[list[str], list[str], list[str]]:
    chosen, above, forced = selection.chosen, selection.upstream, selection.forced
    return [row.name for row in above], [row.name for row in chosen], [row.name for row in forced]


@pytest.mark.parametrize(
    ("selection", "above", "chosen", "forced"),
    [
        (Selection(), 0, ALL, []),
        (Selection(first="train"), 4, ALL[4:], ALL[4:]),
        (Selection(until="embed"), 0, ALL[:3], []),
        (Selection(first="embed", until="probe"), 2, ["embed", "probe"], ["embed", "probe"]),
        (Selection(only="train"), 4, ["train"], []),
        (Selection(only="train", force=("train",)), 4, ["train"], ["train"]),
        (Selection(force=("caption", "train")), 0, ALL, ["caption", "train"]),
    ],
)
def test_what_is_asked_for_splits_the_stages(
    selection: Selection, above: int, chosen: list[str], forced: list[str]
) -> None:
    assert names(selection) == (ALL[:above], chosen, forced)


def test_a_contradiction_is_told() -> None:
    with pytest.raises(ValueError, match="leave --from and --until out"):
        Selection(only="train", until="train")
    with pytest.raises(ValueError, match="no stage in between"):
        Selection(first="train", until="embed")


def test_times_are_medians_of_the_last_five_runs_on_the_same_kind_of_device() -> None:
    took = [100.0, 1.0, 9.0, 2.0, 3.0, 4.0]
    history: list[dict[str, object]] = [{"stage": "train", "seconds": one, "device": "cpu"} for one in took]
    history += [{"stage": "train", "seconds": 0.1, "device": "cuda"}, {"stage": "embed", "seconds": 7.0}]
    found = expected("train", history, "cpu")
    assert found is not None
    assert (found.seconds, found.low, found.high, found.runs) == (3.0, 1.0, 9.0, 5)
    assert str(found) == "3.0 s (1.0 s to 9.0 s, 5 runs)"
    assert str(expected("train", history, "cuda")) == "0.1 s (one run)"
    assert expected("embed", history, "cpu") is None
    assert [clock(seconds) for seconds in (59.9, 90, 7200)] == ["59.9 s", "1.5 min", "2.0 h"]


def test_what_came_and_went_is_counted_by_kind() -> None:
    old = {"a.png": "1", "b.png": "2", "c.png": "3", "a.txt": "4"}
    new = {"a.png": "1", "b.png": "0", "d.png": "5", "e.png": "6", "a.txt": "7"}
    assert difference(old, new) == "+2 images -1 ~1, ~1 captions"
    assert difference(old, old) == ""


def test_the_mark_of_stale_inputs_passes_to_what_is_made_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "embeddings" / "manifest.json", {"stage": "embed"})
    (tmp_path / "adapter").mkdir()
    reads = [tmp_path / "embeddings", tmp_path / "file.json"]
    assert upstream(reads) == "fresh"
    monkeypatch.setenv(ACCEPTED, "stale")
    assert upstream(reads) == "stale"
    monkeypatch.delenv(ACCEPTED)
    for name in ("embeddings", "adapter"):
        mark(tmp_path / name, name)
    assert upstream(reads) == "stale"
    assert read_json(tmp_path / "embeddings" / "manifest.json") == {"stage": "embed", "upstream": "stale"}
    assert upstream([tmp_path / "adapter"]) == "stale"
