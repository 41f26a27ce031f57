"""Intervals against closed forms and against their promise."""

import math

import numpy as np
import pytest

from dopsd.metrics.statistics import Interval, difference, interval, student_quantile, summary


@pytest.mark.parametrize(
    ("confidence", "freedom", "published"),
    [(0.95, 1, 12.7062), (0.95, 2, 4.3027), (0.95, 9, 2.2622), (0.9, 30, 1.6973), (0.99, 5, 4.0321)],
)
def test_students_quantiles_are_the_published_ones(confidence: float, freedom: int, published: float) -> None:
    assert student_quantile(confidence, freedom) == pytest.approx(published, abs=1e-4)


def test_few_values_get_students_interval() -> None:
    got = interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182446 * math.sqrt(5 / 3) / 2
    assert (got.mean, got.count) == (2.5, 4)
    assert (got.low, got.high) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-5)


def test_many_values_get_a_bootstrap_near_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(3, 1, 400).tolist()
    got = interval(values)
    half = 1.96 * float(np.std(values)) / 20
    assert (got.low, got.high) == pytest.approx((got.mean - half, got.mean + half), abs=0.02)
    assert got == interval(values)


@pytest.mark.parametrize("count", [8, 64])
def test_an_interval_covers_the_truth_as_often_as_it_says(count: int) -> None:
    rng = np.random.default_rng(1)
    found = [interval(rng.normal(0, 1, count).tolist(), num_resamples=300) for _ in range(100)]
    assert 0.88 <= np.mean([one.low < 0 < one.high for one in found]) <= 0.995


def test_one_value_says_nothing_about_spread() -> None:
    assert interval([2.0]) == Interval(2.0, -math.inf, math.inf, 1)


def test_nothing_is_dropped() -> None:
    assert math.isnan(interval([1.0, math.nan]).mean)
    with pytest.raises(ValueError, match="no values"):
        interval([])


def test_the_unit_is_the_prompt_and_pairs_cancel() -> None:
    hard_and_easy = {"a": [0.1, 0.3], "b": [10.0, 12.0], "c": [5.0, 5.2]}
    better = {prompt: [value - 0.5 for value in values] for prompt, values in hard_and_easy.items()}
    got = difference(better, hard_and_easy)
    assert (got.mean, got.low, got.high) == pytest.approx((-0.5, -0.5, -0.5))
    assert got.count == 3
    assert summary(hard_and_easy).mean == pytest.approx((0.2 + 11 + 5.1) / 3)


def test_models_measured_on_different_prompts_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different prompts"):
        difference({"a": [1.0]}, {"b": [1.0]})
    with pytest.raises(ValueError, match="different prompts or seeds"):
        difference({"a": [1.0]}, {"a": [1.0, 2.0]})
