"""The gate: an adapter's paired differences to base and parent become a verdict with its reasons; no torch.

>>> decision = judge({"base": differences, "parent": differences}, Margins())
>>> decision.verdict  # Verdict.PROMOTE, HOLD or REJECT

Not "is it significant": with shared seeds any real change is. Each check asks whether the whole interval clears its
margin. All must pass to promote, which needs no correction for many checks; one that fails rejects; in between is hold.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from dopsd.metrics.statistics import Interval
from dopsd.recipe import Margins

Differences = Mapping[str, Interval]
"""Metric key, such as "retention/clip_s@tiny-clip@0a1b2c3d4e5f", to the adapter's value minus the reference's."""


class Verdict(StrEnum):
    """What to do with an adapter."""

    PROMOTE = "PROMOTE"
    HOLD = "HOLD"
    REJECT = "REJECT"


class Outcome(StrEnum):
    """How one check went; UNSURE when the interval straddles the margin, so that more prompts could tell."""

    PASSED = "passed"
    FAILED = "failed"
    UNSURE = "unsure"


@dataclass(frozen=True)
class Check:
    """Ask whether the difference in `metric` (a panel, and the metric's name before the @) stays in bounds.

    "falls": it must lie below minus the margin. "keeps": above minus the margin. "rises-little": below the margin.
    "stays": within plus or minus the margin.
    """

    name: str
    metric: str
    rule: Literal["falls", "keeps", "rises-little", "stays"]
    margin: str


@dataclass(frozen=True)
class Reason:
    """A check against one reference, and how it went, for people and for the record."""

    check: str
    against: str
    metric: str
    observed: Interval
    margin: float
    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Decision:
    """The verdict, and a row of reason a check and reference."""

    verdict: Verdict
    reasons: tuple[Reason, ...]


CHECKS = (
    Check("likeness", "concept/dino_d", "falls", "likeness_gain"),
    Check("retention", "retention/clip_s", "keeps", "retention_loss"),
    Check("curvature", "retention/curvature", "rises-little", "curvature_rise"),
    Check("sharpness", "retention/sharpness", "stays", "sharpness_change"),
    Check("contrast", "retention/contrast", "stays", "contrast_change"),
    Check("noise floor", "retention/noise_floor", "rises-little", "noise_rise"),
)


def judge(differences: Mapping[str, Differences], margins: Margins) -> Decision:
    """Apply every check against every reference ("base", "parent").

    Raises ValueError where a metric that a check asks for was not measured.
    """
    reasons = tuple(
        _reason(check, against, found, getattr(margins, check.margin))
        for against, found in sorted(differences.items())
        for check in CHECKS
    )
    if not reasons:
        raise ValueError("there is nothing to compare with: give differences to the base at least")
    outcomes = {reason.outcome for reason in reasons}
    if Outcome.FAILED in outcomes:
        return Decision(Verdict.REJECT, reasons)
    return Decision(Verdict.HOLD if Outcome.UNSURE in outcomes else Verdict.PROMOTE, reasons)


def _reason(check: Check, against: str, found: Differences, margin: float) -> Reason:
    key = _key(check, against, found)
    seen = found[key]
    low, high = _bounds(check, margin)
    outcome = _outcome(seen, low, high)
    sentence = (
        f"{check.name} {outcome} against {against}: the difference in {key} is {seen.mean:+.4g} "
        f"[{seen.low:+.4g}, {seen.high:+.4g}] over {seen.count} prompts, allowed is {_range(low, high)}"
    )
    return Reason(check.name, against, key, seen, margin, outcome, sentence)


def _bounds(check: Check, margin: float) -> tuple[float, float]:
    return {
        "falls": (-math.inf, -margin),
        "keeps": (-margin, math.inf),
        "rises-little": (-math.inf, margin),
        "stays": (-margin, margin),
    }[check.rule]


def _outcome(seen: Interval, low: float, high: float) -> Outcome:
    """Pass when the whole interval lies inside, fail when it lies outside or is not a number; an end is neither."""
    if math.isnan(seen.mean):
        return Outcome.FAILED
    if seen.low > low and seen.high < high:
        return Outcome.PASSED
    return Outcome.FAILED if seen.low > high or seen.high < low else Outcome.UNSURE


def _range(low: float, high: float) -> str:
    if math.isinf(low):
        return f"below {high:+.4g}"
    return f"above {low:+.4g}" if math.isinf(high) else f"{low:+.4g} to {high:+.4g}"


def _key(check: Check, against: str, found: Differences) -> str:
    keys = [key for key in found if key.split("@")[0] == check.metric]
    if len(keys) != 1:
        raise ValueError(
            f"{check.name} against {against} needs one score {check.metric}, there are {keys or 'none'}: "
            "run the evaluate stage again"
        )
    return keys[0]
