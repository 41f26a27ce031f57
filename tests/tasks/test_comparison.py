"""A comparison counts concepts, pairs what was drawn from the same noise, and reports table by table."""

from pathlib import Path
from random import Random

import pandas as pd
import pytest

from recipes.tiny.concepts import CAPTIONED, NOVEL, PICTURES, write_concepts
from recipes.tiny.domains import drawn, write_domains
from recipes.tiny.drawing import draw
from recipes.tiny.world import STYLES, all_concepts, in_style, scene_of
from tasks.comparison import sections
from tasks.comparison.choice import chosen
from tasks.comparison.concepts import concepts
from tasks.comparison.report import VALUES, write_report
from tasks.comparison.table import BASE, apart, courses, means

LIKENESS, KEPT, SHARP = "concept/dino_d@tiny@0", "retention/clip_s@tiny@0", "retention/sharpness"


def rows(
    method: str, shift: float, *, rate: float = 1e-4, iterations: int = 40, lost: float | None = None
) -> list[dict[str, object]]:
    """Give values of three concepts, two prompts and two trainings; the concepts differ far more than the methods.

    All metrics are shifted, but CLIP-S on other prompts falls by `lost` where that is said.
    """
    trained = {"teacher": "frozen", "iterations": iterations, "learning_rate": rate}
    return [
        {
            "concept": concept, "method": method, "train_seed": seed, "metric": metric, "prompt": f"{concept} {prompt}",
            "seed": 0, "value": far + 0.01 * prompt + (shift if lost is None or metric != KEPT else -lost),
        } | (trained if method != BASE else {"teacher": BASE, "iterations": 0, "learning_rate": 0.0})
        for concept, far in (("star", 0.1), ("ring", 0.5), ("moon", 0.9))
        for metric in (LIKENESS, KEPT, SHARP)
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


def test_a_course_is_told_from_the_base_at_every_moment() -> None:
    early, late = rows("dopsd", -0.02, iterations=20), rows("dopsd", -0.07, iterations=80)
    found = courses(pd.DataFrame([*rows(BASE, 0.0), *late, *early]), "teacher")
    assert list(found["frozen"]) == [20, 80]
    assert [seen[LIKENESS].mean for seen in found["frozen"].values()] == pytest.approx([-0.02, -0.07])
    assert BASE not in found


def swept(*trials: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame([row for trial in [rows(BASE, 0.0), *trials] for row in trial])


def rates(frame: pd.DataFrame) -> dict[str, float]:
    return dict(chosen(courses(frame, "method", along="learning_rate"), most_lost=0.04))


def test_the_rate_that_comes_nearest_is_chosen_for_each_method() -> None:
    near, far = rows("dopsd", -0.1, rate=1e-3, lost=0.01), rows("dopsd", -0.05, lost=0.01)
    other = [rows("sft", 0.1, rate=1e-3, lost=0.0), rows("sft", -0.01, lost=0.0)]
    assert rates(swept(near, far, *other)) == {"dopsd": 1e-3, "sft": 1e-4}


def test_a_rate_that_forgets_more_than_the_gate_lets_go_is_not_chosen() -> None:
    assert rates(swept(rows("sft", -0.1, rate=1e-3, lost=0.041), rows("sft", -0.05, lost=0.039))) == {"sft": 1e-4}


def test_where_every_rate_forgets_too_much_it_is_the_one_that_forgets_least() -> None:
    assert rates(swept(rows("sft", -0.1, rate=1e-3, lost=0.2), rows("sft", -0.05, lost=0.1))) == {"sft": 1e-4}


def test_the_report_shows_what_rates_were_chosen_by(tmp_path: Path) -> None:
    frame = swept(rows("sft", -0.1, rate=1e-3), rows("sft", -0.05))
    write_report([sections.rates_section("rates", frame, "")], "A comparison", tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "| sft | 0.0001 | -0.050 [" in page
    assert "| sft | 0.001 | -0.100 [" in page
    assert (tmp_path / "rates.png").stat().st_size > 1000


def test_the_report_shows_every_method_and_every_value(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_report([sections.scores_section("lora", "Methods", frame, "    dopsd compare")], "A comparison", tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert page.startswith("# A comparison\n\n## Methods\n")
    assert "| dopsd | -0.050 [-0.050, -0.050] |" in page
    assert len(pd.read_csv(tmp_path / VALUES / "lora.csv")) == len(frame)
    cells = pd.read_csv(tmp_path / "lora.csv")
    assert len(cells) == 3 * (1 + 2 * 2)
    assert cells.loc[cells["method"] == "dopsd", LIKENESS].mean() == pytest.approx(0.5 + 0.005 - 0.05)
    assert (tmp_path / "lora.png").stat().st_size > 1000


def test_a_report_keeps_the_tables_of_earlier_commands(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_report(
        [sections.course_section("curves", "Curves", frame, "method", "", reference="dopsd")], "A comparison", tmp_path
    )
    write_report([sections.scores_section("lora", "Methods", frame, "")], "A comparison", tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert page.index("## Methods") < page.index("## Curves")
    assert "| dopsd | 40 | -0.050 [-0.050, -0.050] |" in page
    assert "### Minus dopsd" in page
    assert "| sft | 40 | +0.030 [+0.030, +0.030] |" in page


def test_a_backward_counts_as_two_evaluations_and_seconds_are_averaged_by_concept(tmp_path: Path) -> None:
    spent = [
        {"concept": concept, "method": "dopsd", "embed_seconds": 3.0, "probe_seconds": 1.0, "train_seconds": seconds,
         "evaluate_seconds": 9.0, "prepared": 5, "forward": 8, "backward": 4}
        for concept, seconds in (("star", 1.0), ("star", 2.0), ("ring", 4.5))
    ]  # fmt: skip
    page = sections.costs_section(pd.DataFrame(spent), 4, "").text
    assert "| dopsd | 4.0 [4.0, 4.0] | 3.0 [" in page
    assert "| 9.0 [9.0, 9.0] | 5 | 8 | 4 | 21 | 4 |" in page


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


def test_a_domain_is_the_world_in_a_style_of_its_own(tmp_path: Path) -> None:
    write_domains(tmp_path, 2)
    found = concepts(tmp_path)
    assert [(one.name, one.kind) for one in found] == [("comic", "style"), ("sticker", "style")]
    assert all(len(list(one.folder.glob("*.txt"))) == len(list(one.folder.glob("*.png"))) == 32 for one in found)
    assert all(text.endswith("[V] style") for one in found for text in one.novel)
    assert not any("[V]" in path.read_text() for one in found for path in one.folder.glob("*.txt"))
    scenes = [scene_of(concept, Random(0)) for concept in all_concepts(unseen=False)[:40]]
    for style in STYLES:
        apart = (drawn(scenes, "sticker") - draw([in_style(one, style) for one in scenes], 40)).abs().amax((1, 2, 3))
        assert apart.min() > 0.05
