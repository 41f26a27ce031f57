"""Verdicts on adapters that we know the answer for."""

import math

import pytest

from dopsd.gate import CHECKS, Outcome, Verdict, judge
from dopsd.metrics.statistics import Interval, interval
from dopsd.recipe import Margins

KEYS = {
    "likeness": "concept/dino_d@tiny-dino@0a1b2c3d4e5f",
    "retention": "retention/clip_s@tiny-clip@0a1b2c3d4e5f",
    "curvature": "retention/curvature",
    "sharpness": "retention/sharpness",
    "contrast": "retention/contrast",
    "noise floor": "retention/noise_floor",
}
GOOD = {
    "likeness": Interval(-0.1, -0.15, -0.05, 20),
    "retention": Interval(0.001, -0.004, 0.006, 64),
    "curvature": Interval(0.003, 0.001, 0.005, 64),
    "sharpness": Interval(-0.05, -0.1, 0.0, 64),
    "contrast": Interval(-0.05, -0.1, 0.0, 64),
    "noise floor": Interval(0.0, -0.1, 0.1, 64),
}


def compared(**changes: Interval) -> dict[str, Interval]:
    """Give a good adapter's differences with some of them changed."""
    return {KEYS[name]: seen for name, seen in (GOOD | {k.replace("_", " "): v for k, v in changes.items()}).items()}


def test_a_good_adapter_is_promoted() -> None:
    decision = judge({"base": compared(), "parent": compared()}, Margins())
    assert decision.verdict is Verdict.PROMOTE
    assert len(decision.reasons) == 2 * len(CHECKS)
    assert {reason.outcome for reason in decision.reasons} == {Outcome.PASSED}


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("likeness", Interval(0.1, 0.05, 0.15, 20)),
        ("retention", Interval(-0.05, -0.06, -0.04, 64)),
        ("curvature", Interval(0.06, 0.05, 0.07, 64)),
        ("sharpness", Interval(-0.9, -1.0, -0.8, 64)),
        ("sharpness", Interval(0.9, 0.8, 1.0, 64)),
        ("contrast", Interval(-0.5, -0.6, -0.4, 64)),
        ("noise_floor", Interval(0.5, 0.4, 0.6, 64)),
        ("retention", Interval(math.nan, math.nan, math.nan, 64)),
    ],
)
def test_a_planted_collapse_is_rejected_and_its_check_named(name: str, seen: Interval) -> None:
    decision = judge({"base": compared(**{name: seen}), "parent": compared()}, Margins())
    assert decision.verdict is Verdict.REJECT
    failed = [reason for reason in decision.reasons if reason.outcome is Outcome.FAILED]
    assert [(reason.check, reason.against) for reason in failed] == [(name.replace("_", " "), "base")]
    assert "failed against base" in failed[0].sentence


def test_too_few_prompts_hold() -> None:
    seen = interval([-0.02, 0.04, -0.03, 0.01, -0.01])
    assert judge({"base": compared(retention=seen)}, Margins()).verdict is Verdict.HOLD
    assert judge({"base": compared(retention=interval([0.0]))}, Margins()).verdict is Verdict.HOLD


def test_the_identical_model_holds() -> None:
    nothing = dict.fromkeys(KEYS.values(), Interval(0.0, 0.0, 0.0, 64))
    decision = judge({"base": nothing, "parent": nothing}, Margins())
    assert decision.verdict is Verdict.HOLD
    assert {reason.check for reason in decision.reasons if reason.outcome is Outcome.UNSURE} == {"likeness"}


def test_worse_than_the_parent_is_rejected_though_better_than_the_base() -> None:
    worse = compared(retention=Interval(-0.05, -0.06, -0.04, 64))
    assert judge({"base": compared(), "parent": worse}, Margins()).verdict is Verdict.REJECT


def test_margins_are_data() -> None:
    blurred = compared(sharpness=Interval(-0.4, -0.45, -0.35, 64))
    assert judge({"base": blurred}, Margins()).verdict is Verdict.REJECT
    assert judge({"base": blurred}, Margins(sharpness_change=0.6)).verdict is Verdict.PROMOTE


def test_a_score_nobody_measured_is_asked_for() -> None:
    found = compared()
    del found["retention/sharpness"]
    with pytest.raises(ValueError, match="needs one score retention/sharpness"):
        judge({"base": found}, Margins())
    with pytest.raises(ValueError, match="nothing to compare"):
        judge({}, Margins())
