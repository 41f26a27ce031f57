"""Scores are paired by prompt and seed, and survive the way through JSON."""

import json
import math
from pathlib import Path

import pytest

from dopsd.judging import Evaluation
from dopsd.metrics.statistics import Interval
from tasks.folders import write_json
from tasks.intervals import as_json, differences, from_json
from tasks.scoring.scores import compared, table
from tasks.scoring.sheet import Score


def scores(values: dict[str, list[float]], metric: str = "retention/curvature") -> list[Score]:
    """Give one metric of some prompts, a value a seed."""
    return [Score(metric, prompt, seed, value) for prompt, row in values.items() for seed, value in enumerate(row)]


@pytest.mark.parametrize("seen", [Interval(0.1, -0.2, 0.4, 9), Interval(1.5, -math.inf, math.inf, 1)])
def test_an_interval_comes_back_from_json(seen: Interval) -> None:
    assert from_json(json.loads(json.dumps(as_json(seen), allow_nan=False))) == seen


def test_a_score_that_is_no_number_stays_none_in_json() -> None:
    back = from_json(as_json(Interval(math.nan, math.nan, math.nan, 3)))
    assert math.isnan(back.mean)
    assert back.count == 3


def test_the_adapter_is_compared_with_every_other_model_by_prompt(tmp_path: Path) -> None:
    base = {"a": [1.0, 3.0], "b": [10.0, 12.0], "c": [5.0, 5.0]}
    better = {prompt: [value + 0.5 for value in row] for prompt, row in base.items()}
    found = compared({"base": scores(base), "parent": scores(better), "adapter": scores(better)}, Evaluation())
    write_json(tmp_path / "scores.json", found)
    apart = differences(tmp_path)
    assert apart["base"]["retention/curvature"] == Interval(0.5, 0.5, 0.5, 3)
    assert apart["parent"]["retention/curvature"] == Interval(0, 0, 0, 3)


def test_models_that_were_measured_on_other_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="different prompts or seeds"):
        compared({"base": scores({"a": [1.0]}), "adapter": scores({"b": [1.0]})}, Evaluation())


def test_the_table_has_a_row_a_value() -> None:
    lines = table({"base": scores({"a, b": [0.25, 0.5]}), "adapter": scores({"a, b": [1.0, 2.0]})}).splitlines()
    assert lines[0] == "model,metric,prompt,seed,value"
    assert lines[1] == 'base,retention/curvature,"a, b",0,0.25'
    assert len(lines) == 5
