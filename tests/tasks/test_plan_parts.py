"""The parts of a plan that need no workspace: which stages have their turn, how long they take, what came and went."""

import time
from pathlib import Path

import pytest
from rich.console import Console

from flows.commands.plan_table import as_json, show
from tasks.folders import read_json, write_json
from tasks.pipeline import STAGES
from tasks.planning.count import Count
from tasks.planning.durations import clock, expected
from tasks.planning.plan import Plan
from tasks.planning.row import Decision, Row
from tasks.planning.selection import Selection
from tasks.planning.staleness import ACCEPTED, mark, upstream
from tasks.planning.trees import difference
from tasks.stores.reuse import last, note, with_counts

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


def embedding(*runs: tuple[int, float]) -> list[dict[str, object]]:
    """Spell runs of embed: so many images computed, in so many seconds."""
    return [{"stage": "embed", "device": "cpu", "computed": images, "seconds": took} for images, took in runs]


def test_times_are_scaled_to_the_images_that_are_to_be_computed() -> None:
    def say(images: int, *runs: tuple[int, float]) -> str:
        return str(expected("embed", embedding(*runs), "cpu", Count(images, 0)))

    assert say(30, (10, 20.0)) == "40.0 s (20.0 s to 1.0 min, one run)"
    assert say(5, (10, 20.0)) == "15.0 s (10.0 s to 20.0 s, one run)"
    assert say(10, (10, 20.0)) == "20.0 s (one run)"
    assert say(60, (10, 20.0), (110, 70.0)) == "45.0 s (38.2 s to 1.2 min, 2 runs)"  # 15 s, and half a second an image
    assert say(0, (0, 5.0), (10, 20.0)) == "5.0 s (2 runs)"
    assert say(3, (0, 5.0)) == "None"


def test_what_a_run_counted_is_told_apart_by_when_it_ran(tmp_path: Path) -> None:
    now = time.time()
    history = [{"stage": "embed", "began": now + began, "seconds": 60.0} for began in (-100, -30)]
    note(tmp_path, "embed", computed=3, reused=4, damaged=0)
    note(tmp_path, "caption", computed=1, reused=1, damaged=0)
    assert with_counts(history, tmp_path) == [history[0], history[1] | {"computed": 3, "reused": 4}]
    assert last(tmp_path, "embed") == {"computed": 3, "reused": 4, "damaged": 0}
    assert last(tmp_path, "train") is None


def test_the_plan_tells_of_images_in_its_table_and_as_json() -> None:
    row = Row("embed", Decision.RUN, ("data: +3 images",), Count(3, 1000, "at most"))
    found = Plan((row,), (), (), is_code_recorded=True)
    (said,) = as_json(found)["stages"]  # type: ignore[misc]
    assert said["images"] == {"computed": 3, "reused": 1000, "certainty": "at most"}
    console = Console(record=True, width=120)
    show(found, console)
    assert "at most 3 of 1003" in console.export_text()
