"""Verdicts on adapters that we know the answer for."""

import math

import numpy as np
import pytest

from dopsd.gate import CHECKS, Outcome, Verdict, judge
from dopsd.judging import Margins
from dopsd.metrics.statistics import Interval, interval

KEYS = {
    "likeness": "concept/dino_d@tiny-dino@0a1b2c3d4e5f",
    "retention": "retention/clip_s@tiny-clip@0a1b2c3d4e5f",
    "curvature": "retention/curvature",
    "sharpness": "retention/sharpness",
    "contrast": "retention/contrast",
    "noise floor": "retention/noise_floor",
    "earlier concepts": "earlier/dino_d@tiny-dino@0a1b2c3d4e5f",
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
    assert len(decision.reasons) == 2 * (len(CHECKS) - 1)  # no earlier concept was measured
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
    decision = judge({"base": nothing, "parent": nothing, "champion": nothing}, Margins())
    assert decision.verdict is Verdict.HOLD
    unsure = [reason for reason in decision.reasons if reason.outcome is Outcome.UNSURE]
    assert {reason.check for reason in unsure} == {"likeness"}
    assert {reason.more_prompts for reason in unsure} == {None}  # nothing was won, however often one asks
    assert "more prompts would not tell" in unsure[0].sentence


def test_worse_than_the_parent_is_rejected_though_better_than_the_base() -> None:
    worse = compared(retention=Interval(-0.05, -0.06, -0.04, 64))
    assert judge({"base": compared(), "parent": worse}, Margins()).verdict is Verdict.REJECT


def test_twenty_small_losses_add_up_against_the_base() -> None:
    clip_s, loss = 0.3, 0.004  # 0.4 % a round
    verdicts = []
    for rounds in range(1, 21):
        before, now = (clip_s * (1 - loss) ** number for number in (rounds - 1, rounds))
        step, drift = (Interval(change, change - 2e-4, change + 2e-4, 64) for change in (now - before, now - clip_s))
        against = {"base": compared(retention=drift), "champion": compared(retention=step)}
        decision = judge(against, Margins())
        verdicts.append(decision.verdict)
        failed = [(reason.check, reason.against) for reason in decision.reasons if reason.outcome is Outcome.FAILED]
        assert failed in ([], [("retention", "base")])
    assert verdicts[0] is Verdict.PROMOTE
    assert verdicts[-1] is Verdict.REJECT
    assert verdicts == sorted(verdicts, key=[Verdict.PROMOTE, Verdict.HOLD, Verdict.REJECT].index)


def test_five_prompts_hold_however_sure_they_look() -> None:
    sure = compared(retention=Interval(0.0, -1e-4, 1e-4, 5))
    decision = judge({"base": sure}, Margins())
    assert decision.verdict is Verdict.HOLD
    assert [reason.more_prompts for reason in decision.reasons if reason.outcome is Outcome.UNSURE] == [3]
    collapsed = compared(retention=Interval(-0.2, -0.25, -0.15, 5))
    assert judge({"base": collapsed}, Margins()).verdict is Verdict.REJECT


def test_what_the_champion_never_met_is_not_asked_of_it() -> None:
    found = compared()
    del found[KEYS["likeness"]]
    assert judge({"base": compared(), "champion": found}, Margins()).verdict is Verdict.PROMOTE
    with pytest.raises(ValueError, match="needs one score concept/dino_d"):
        judge({"base": found}, Margins())


def test_what_both_were_not_measured_on_holds() -> None:
    unknown = compared(retention=Interval(0.0, -math.inf, math.inf, 0))
    decision = judge({"base": compared(), "champion": unknown}, Margins())
    assert decision.verdict is Verdict.HOLD
    assert any("no prompt of retention/clip_s" in reason.sentence for reason in decision.reasons)


def test_an_earlier_concept_that_was_lost_rejects() -> None:
    lost = compared(earlier_concepts=Interval(0.1, 0.05, 0.15, 20))
    assert judge({"base": compared(), "champion": lost}, Margins()).verdict is Verdict.REJECT
    assert judge({"base": lost}, Margins()).verdict is Verdict.PROMOTE  # the base never knew it


def test_so_many_prompts_more_would_tell() -> None:
    rng = np.random.default_rng(0)
    few = interval(list(rng.normal(0.0, 0.03, 16)))
    reason = next(
        row for row in judge({"base": compared(retention=few)}, Margins()).reasons if row.check == "retention"
    )
    assert reason.outcome is Outcome.UNSURE
    assert reason.more_prompts is not None
    spread = (few.high - few.low) / 2 * math.sqrt(few.count) / 2.13  # Student's quantile of 15 degrees
    count = few.count + reason.more_prompts
    told = [interval(list(rng.normal(few.mean, spread, count)), num_resamples=200) for _ in range(100)]
    assert sum(seen.low > -0.01 or seen.high < -0.01 for seen in told) >= 85


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
