"""dvc.yaml is what the table says, and DVC sees code through it."""

from pathlib import Path

import pytest
import yaml

from tasks.dvcfile import main, rendered, rows
from tasks.pipeline import PLACES, STAGES
from tasks.planning.fingerprint import CODE, STAGE, rooms

ROOT = Path(__file__).parents[2]


def test_the_committed_file_is_up_to_date() -> None:
    assert (ROOT / "dvc.yaml").read_text() == rendered(), "run `python -m tasks.dvcfile`"


def test_every_row_of_the_table_is_a_stage_with_its_places_after_the_code() -> None:
    stages = yaml.safe_load(rendered())["stages"]
    assert list(stages) == [STAGE, *(row.name for row in STAGES)]
    for row in STAGES:
        said = stages[row.name]
        assert said["params"] == [*row.params, {str(CODE): [row.name]}]
        assert [PLACES[place] for place in row.reads] == said["deps"]
        assert [next(iter(out)) if isinstance(out, dict) else out for out in said["outs"]] == [
            PLACES[place] for place in row.writes
        ]


@pytest.mark.parametrize(("name", "place"), [("register", "data/version"), (STAGE, str(CODE))])
def test_what_acts_on_the_world_or_looks_at_it_is_never_restored_in_place_of_a_run(name: str, place: str) -> None:
    assert rows()[name]["outs"] == [{place: {"cache": False, "persist": True}}]


def test_the_rooms_that_are_digested_are_those_that_dvc_watches() -> None:
    assert [str(room) for room in rooms(ROOT)] == ["dopsd", "tasks"]


def test_the_check_tells_a_file_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.dvcfile.DVC_FILE", tmp_path / "dvc.yaml")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
