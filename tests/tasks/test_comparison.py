"""A comparison counts concepts, pairs what was drawn from the same noise, and does nothing twice."""

from pathlib import Path

import pandas as pd
import pytest

from recipes.tiny.concepts import CAPTIONED, NOVEL, PICTURES, write_concepts
from tasks.comparison.cells import Cell, grid
from tasks.comparison.concepts import concepts
from tasks.comparison.report import write_report
from tasks.comparison.table import BASE, apart, best_rates, means

LIKENESS, KEPT = "concept/dino_d@tiny@0", "retention/clip_s@tiny@0"


def rows(method: str, shift: float, *, rate: float = 1e-4) -> list[dict[str, object]]:
    """Give values of three concepts, two prompts and two trainings; the concepts differ far more than the methods."""
    return [
        {
            "concept": concept, "method": method, "learning_rate": rate, "train_seed": seed, "metric": metric,
            "prompt": f"{concept} {prompt}", "seed": 0, "value": far + 0.01 * prompt + shift,
        }
        for concept, far in (("star", 0.1), ("ring", 0.5), ("moon", 0.9))
        for metric in (LIKENESS, KEPT)
        for prompt in range(2)
        for seed in ((0, 1) if method != BASE else (0,))
    ]  # fmt: skip


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame([*rows(BASE, 0.0), *rows("dopsd", -0.05), *rows("sft", -0.02)])


def test_the_unit_is_the_concept(frame: pd.DataFrame) -> None:
    assert means(frame)["dopsd"][LIKENESS].count == 3


def test_pairing_sees_a_difference_that_means_alone_do_not(frame: pd.DataFrame) -> None:
    unpaired, paired = means(frame)["dopsd"][LIKENESS], apart(frame, BASE)["dopsd"][LIKENESS]
    assert unpaired.high - unpaired.low > 1
    assert paired.mean == pytest.approx(-0.05)
    assert paired.high < 0


def test_a_method_is_not_compared_with_itself(frame: pd.DataFrame) -> None:
    assert set(apart(frame, "dopsd")) == {BASE, "sft"}


def test_the_learning_rate_with_the_least_distance_is_chosen_for_each_method() -> None:
    swept = [*rows("dopsd", -0.1, rate=1e-3), *rows("dopsd", 0.0), *rows("sft", 0.1, rate=1e-3), *rows("sft", 0.0)]
    assert best_rates(pd.DataFrame(swept), "concept/dino_d") == {"dopsd": 1e-3, "sft": 1e-4}


def test_a_grid_has_every_concept_method_and_seed_once() -> None:
    cells = grid(["star", "ring"], {"dopsd": [1e-4], "sft": [1e-4, 3e-4]}, range(3))
    assert len(cells) == len(set(cells)) == 2 * 3 * 3
    assert len({cell.folder(Path()) for cell in cells}) == len(cells)
    assert Cell("star", "sft", 3e-4, 2) in cells


def test_the_report_shows_every_method_and_every_value(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_report(frame, {"dopsd": [1.0, 3.0], "sft": [1.0]}, "# A comparison", tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "| dopsd | -0.050 [-0.050, -0.050] |" in page
    assert "| dopsd | 2.0 | 2 |" in page
    assert len(pd.read_csv(tmp_path / "values.csv")) == len(frame)
    assert (tmp_path / "trade.png").stat().st_size > 1000


def test_a_concept_without_its_sheet_is_named(tmp_path: Path) -> None:
    (tmp_path / "star").mkdir()
    with pytest.raises(FileNotFoundError, match=r"star\.yaml"):
        concepts(tmp_path)
    (tmp_path / "star.yaml").write_text("novel: []\n")
    with pytest.raises(ValueError, match=r"star\.yaml"):
        concepts(tmp_path)


def test_drawn_concepts_are_read_as_they_were_drawn(tmp_path: Path) -> None:

    write_concepts(tmp_path / "two", 2)
    write_concepts(tmp_path / "one", 1)
    found = concepts(tmp_path / "two")
    assert len(found) == 2
    assert [one.name for one in concepts(tmp_path / "one")] == [found[0].name]
    assert all(len(one.novel) == NOVEL and all("[V]" in text for text in one.novel) for one in found)
    assert len(list(found[0].folder.glob("*.png"))) == PICTURES
    assert len(list(found[0].folder.glob("*.txt"))) == CAPTIONED
