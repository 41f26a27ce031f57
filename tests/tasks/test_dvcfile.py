"""dvc.yaml is what the table and the imports say."""

from dataclasses import replace
from pathlib import Path

import grimp
import pytest
import yaml

from tasks.dvcfile import code, main, rendered
from tasks.pipeline import PLACES, STAGES, stage

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("tasks", "dopsd", cache_dir=None)


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_committed_file_is_up_to_date(graph: grimp.ImportGraph) -> None:
    assert (ROOT / "dvc.yaml").read_text() == rendered(graph), "run `python -m tasks.dvcfile`"


def test_every_row_of_the_table_is_a_stage_with_its_places(graph: grimp.ImportGraph) -> None:
    stages = yaml.safe_load(rendered(graph))["stages"]
    assert list(stages) == [row.name for row in STAGES]
    for row in STAGES:
        said = stages[row.name]
        assert said["params"] == list(row.params)
        assert [PLACES[place] for place in row.reads] == said["deps"][-len(row.reads) :]
        assert [next(iter(out)) if isinstance(out, dict) else out for out in said["outs"]] == [
            PLACES[place] for place in row.writes
        ]


def test_registration_is_never_restored_in_place_of_a_run(graph: grimp.ImportGraph) -> None:
    stages = yaml.safe_load(rendered(graph))["stages"]
    assert stages["register"]["outs"] == [{"data/version": {"cache": False, "persist": True}}]


def test_a_helper_of_a_helper_is_a_dependency(graph: grimp.ImportGraph) -> None:
    assert {"tasks/train.py", "dopsd/training.py", "dopsd/distillation.py"} <= set(code(stage("train"), graph))


def test_what_is_imported_by_name_counts(graph: grimp.ImportGraph) -> None:
    assert "dopsd/families/z_image.py" in code(stage("embed"), graph)
    assert "dopsd/distillation.py" in code(stage("train"), graph)


def test_code_that_leaves_no_trace_in_an_output_retrains_nothing(graph: grimp.ImportGraph) -> None:
    assert "tasks/tracking.py" not in code(stage("train"), graph)
    assert "tasks/tracking.py" in code(stage("register"), graph)


def test_a_name_that_cannot_be_followed_is_told(graph: grimp.ImportGraph) -> None:
    with pytest.raises(ValueError, match=r"tasks\.runner imports by names that don't stand in it"):
        code(replace(stage("train"), name="runner"), graph)


def test_the_check_tells_a_file_that_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.dvcfile.DVC_FILE", tmp_path / "dvc.yaml")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
