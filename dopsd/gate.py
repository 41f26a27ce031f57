"""The gate: an adapter's paired differences to base, parent and champion become a verdict with its reasons; no torch.

>>> decision = judge({"base": differences, "champion": differences}, Margins())
>>> decision.verdict  # Verdict.PROMOTE, HOLD or REJECT

Not "is it significant": with shared seeds any real change is. Each check asks whether the whole interval clears its
margin. All must pass to promote, which needs no correction for many checks; one that fails rejects; in between is hold.
The base never moves, so that against it losses too small for one round's margin add up.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from dopsd.judging import Margins
from dopsd.metrics.statistics import Interval

Differences = Mapping[str, Interval]
"""Metric key, such as "retention/clip_s@tiny-clip@0a1b2c3d4e5f", to the adapter's value minus the reference's."""
Against = Literal["base", "parent", "champion"]
_Z_90, _Z_975 = 1.2816, 1.9600  # quantiles of the normal distribution


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
    "stays": within plus or minus the margin. It is asked `against` these references; against those in `where_measured`
    only if both were measured on it: a champion may never have met a new concept.
    """

    name: str
    metric: str
    rule: Literal["falls", "keeps", "rises-little", "stays"]
    margin: str
    against: tuple[Against, ...] = ("base", "parent", "champion")
    where_measured: tuple[Against, ...] = ()


@dataclass(frozen=True)
class Reason:
    """A check against one reference, and how it went, for people and for the record.

    `more_prompts` estimates, for an outcome that is UNSURE, how many more would tell; None where none would.
    """

    check: str
    against: str
    metric: str
    observed: Interval
    margin: float
    outcome: Outcome
    more_prompts: int | None
    sentence: str


@dataclass(frozen=True)
class Decision:
    """The verdict, and a row of reason a check and reference."""

    verdict: Verdict
    reasons: tuple[Reason, ...]


CHECKS = (
    Check("likeness", "concept/dino_d", "falls", "likeness_gain", where_measured=("champion",)),
    Check(
        "earlier concepts",
        "earlier/dino_d",
        "rises-little",
        "earlier_loss",
        against=("parent", "champion"),
        where_measured=("parent", "champion"),
    ),
    Check("retention", "retention/clip_s", "keeps", "retention_loss"),
    Check("curvature", "retention/curvature", "rises-little", "curvature_rise"),
    Check("sharpness", "retention/sharpness", "stays", "sharpness_change"),
    Check("contrast", "retention/contrast", "stays", "contrast_change"),
    Check("noise floor", "retention/noise_floor", "rises-little", "noise_rise"),
)


def judge(differences: Mapping[str, Differences], margins: Margins) -> Decision:
    """Apply every check against every reference ("base", "parent", "champion").

    Raises ValueError where a metric that a check asks for was not measured.
    """
    reasons = tuple(
        _reason(check, against, key, found[key], margins)
        for against, found in sorted(differences.items())
        for check in CHECKS
        if against in check.against and (key := _key(check, against, found)) is not None
    )
    if not reasons:
        raise ValueError("there is nothing to compare with: give differences to the base at least")
    outcomes = {reason.outcome for reason in reasons}
    if Outcome.FAILED in outcomes:
        return Decision(Verdict.REJECT, reasons)
    return Decision(Verdict.HOLD if Outcome.UNSURE in outcomes else Verdict.PROMOTE, reasons)


def _reason(check: Check, against: str, key: str, seen: Interval, margins: Margins) -> Reason:
    margin = getattr(margins, check.margin)
    low, high = bounds(check, margin)
    outcome = _outcome(seen, low, high)
    if outcome is Outcome.PASSED and seen.count < margins.fewest_prompts:
        outcome = Outcome.UNSURE
    more = _more_prompts(seen, low, high, margins.fewest_prompts) if outcome is Outcome.UNSURE else None
    sentence = (
        f"{check.name} {outcome} against {against}: the difference in {key} is {seen.mean:+.4g} "
        f"[{seen.low:+.4g}, {seen.high:+.4g}] over {seen.count} prompts, allowed is {_range(low, high)}"
    )
    if seen.count == 0:
        sentence = f"{check.name} unsure against {against}: no prompt of {key} was measured on both in as many steps"
    elif outcome is Outcome.UNSURE:
        sentence += f"; about {more} more prompts would tell" if more else "; more prompts would not tell"
    return Reason(check.name, against, key, seen, margin, outcome, more, sentence)


def _more_prompts(seen: Interval, low: float, high: float, fewest: int) -> int | None:
    """Estimate how many prompts more would tell, were the true difference the one that is seen.

    An interval of 95 % then clears the nearest bound nine times in ten: with a half-width h over n prompts and the
    bound at a distance d, it takes n ((1 + 1.28 / 1.96) h / d)^2.
    """
    half = max(seen.high - seen.mean, seen.mean - seen.low)
    distance = min(abs(seen.mean - end) for end in (low, high) if math.isfinite(end))
    if math.isinf(half):
        return max(1, fewest - seen.count)
    if distance == 0:
        return None
    needed = math.ceil(seen.count * ((1 + _Z_90 / _Z_975) * half / distance) ** 2)
    return max(1, max(needed, fewest) - seen.count)


def bounds(check: Check, margin: float) -> tuple[float, float]:
    """Give the ends of the range that a difference must lie in; an open end is infinite."""
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


def _key(check: Check, against: str, found: Differences) -> str | None:
    keys = [key for key in found if key.split("@")[0] == check.metric]
    if not keys and against in check.where_measured:
        return None
    if len(keys) != 1:
        raise ValueError(
            f"{check.name} against {against} needs one score {check.metric}, there are {keys or 'none'}: "
            "run the evaluate stage again"
        )
    return keys[0]
