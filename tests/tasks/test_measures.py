"""Each metric is measured on its panel, under its name, against its targets; a choice that cannot be is refused."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dopsd.gate import CHECKS
from dopsd.judging import JUDGED
from dopsd.metrics.geneval import GenEval, Order
from dopsd.metrics.judge import Mark
from tasks.scoring.drawings import Drawing
from tasks.scoring.measures import measured
from tasks.scoring.panels import Prompt, benchmark_panel
from tasks.scoring.sheet import Sheet
from tasks.sections import Evaluate

SEEDS = (0, 1)


def test_the_metrics_of_the_gate_are_those_that_params_insist_on() -> None:
    assert {check.metric.partition("/")[2] for check in CHECKS} == set(JUDGED)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"metrics": (*JUDGED, "lpips_d")}, "lpips is missing and metrics ask for lpips_d"),
        ({"metrics": JUDGED[1:]}, "metrics leave dino_d out"),
        ({"metrics": (*JUDGED, "fad")}, "metrics is 'fad': choose one of"),
        ({"seeds": (3,)}, "diversity compares pictures of a prompt: give two"),
    ],
)
def test_metrics_that_cannot_be_measured_are_refused(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Evaluate(novel="", retention="", **said)


class Answering:
    """A judge of any kind: it gives the same values to whatever it is asked, and remembers how many that was."""

    def __init__(self, name: str, *values: Any) -> None:
        self.name, self._values, self.asked = f"{name}@scripted@0", values, 0

    def _answer(self, images: Sequence[Image.Image], *_: object) -> list[Any]:
        self.asked += len(images)
        return [self._values[number % len(self._values)] for number in range(len(images))]

    distances = marks = answers = scores = _answer


def sheet_of(panel: Sequence[Prompt], **judges: Any) -> Sheet:
    """Let one flat picture stand for every prompt and seed."""
    drawn = [Drawing(prompt, seed, Image.new("RGB", (8, 8)), 0.1) for prompt in panel for seed in SEEDS]
    held = {"a": Image.new("RGB", (8, 8), "red"), "b": Image.new("RGB", (8, 8), "blue")}
    return Sheet(drawn, drawn, SimpleNamespace(targets=held, earlier={}, **judges))  # type: ignore[arg-type]


NOVEL = [Prompt("concept", f"a [V] number {number}", "a star") for number in range(3)]
REWRITE = Prompt("concept", "a [V]", "a star", "b")


def test_the_judge_marks_novel_scenes_against_the_targets_in_turn_and_its_failures_are_a_metric() -> None:
    unread = Mark("?", math.nan, 1.5)
    sheet = sheet_of([REWRITE, *NOVEL], consistency=Answering("vlm_j_object", Mark("4", 4, 3.5), unread))
    rows = measured(sheet, ["vlm_j"])
    assert sheet.judges.consistency.asked == 6  # novel scenes alone
    means = {key: np.mean([row.value for row in rows if row.metric == key]) for key in {row.metric for row in rows}}
    assert math.isnan(means.pop("concept/vlm_j_object@scripted@0"))
    assert means == {"concept/vlm_j_object_expected@scripted@0": 2.5, "concept/vlm_j_object_unread@scripted@0": 0.5}
    shown = sheet.targets(sheet.on("concept"))
    assert [picture.getpixel((0, 0)) for picture in shown[::2]] == [(0, 0, 255), (0, 0, 255), (255, 0, 0), (0, 0, 255)]


def test_likeness_is_measured_where_there_is_a_target_and_quality_everywhere() -> None:
    retention = Prompt("retention", "a cat", "a cat")
    judges = {"perceptual": Answering("lpips_d", 0.5), "quality": Answering("quality_s", Mark("5", 5, 4.5))}
    rows = measured(sheet_of([REWRITE, *NOVEL, retention], **judges), ["lpips_d", "quality_s"])
    assert judges["perceptual"].asked == len(SEEDS)
    assert judges["quality"].asked == 5 * len(SEEDS)
    assert {row.metric for row in rows if "quality_s@" in row.metric} == {
        "concept/quality_s@scripted@0",
        "retention/quality_s@scripted@0",
    }


def test_geneval_counts_every_kind_alike_and_dpg_asks_by_prompt() -> None:
    orders = {
        "one": Order("counting", "one", ()),
        "two": Order("counting", "two", ()),
        "red": Order("colors", "red", ()),
    }
    panel = benchmark_panel("geneval", list(orders)) + benchmark_panel("dpg", ["long"])
    geneval = Answering("geneval", 1.0, 1.0, 1.0, 1.0, 0.0, 0.0)
    geneval.shares = GenEval.shares  # type: ignore[attr-defined]
    judges = {"orders": orders, "geneval": geneval, "items": {"long": None}, "dpg": Answering("dpg", 0.75)}
    rows = measured(sheet_of(panel, **judges), ["geneval", "dpg"])
    means = {key: np.mean([row.value for row in rows if row.metric == key]) for key in {row.metric for row in rows}}
    assert means == pytest.approx(
        {
            "geneval/geneval@scripted@0": 0.5,
            "geneval/geneval_counting@scripted@0": 1,
            "geneval/geneval_colors@scripted@0": 0,
            "dpg/dpg@scripted@0": 0.75,
        }
    )


@pytest.mark.parametrize(("count", "blocks"), [(1, 1), (2, 2), (64, 64), (100, 64)])
def test_a_number_of_a_set_is_shared_among_at_most_64_blocks(count: int, blocks: int) -> None:
    panel = [Prompt("concept", f"number {number}", "a star", "ab"[number % 2]) for number in range(count)]
    kernel = SimpleNamespace(
        name="kid@scripted@0",
        eyes=SimpleNamespace(features=lambda some: torch.arange(len(some) * 2.0).view(-1, 2)),
        between=lambda ours, theirs: float(ours.mean() + theirs.mean()),
        warn_of_few=lambda count: None,
    )
    rows = measured(sheet_of(panel, kid=kernel), ["kid"])
    assert len(rows) == blocks
    assert {row.metric for row in rows} == {"concept/kid@scripted@0"}
    if count == blocks:
        assert np.mean([row.value for row in rows]) == pytest.approx(2 * np.arange(count * 4).mean())
