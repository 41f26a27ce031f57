"""Intervals in JSON: an end that is infinite, or a mean that is no number, is null there.

>>> from_json(as_json(Interval(0.1, -math.inf, math.inf, 1)))
"""

import math
from collections.abc import Mapping
from pathlib import Path

from dopsd.metrics.statistics import Interval
from tasks.folders import read_json


def as_json(seen: Interval) -> dict[str, float | int | None]:
    """Spell an interval out."""
    ends = {"mean": seen.mean, "low": seen.low, "high": seen.high}
    return {name: value if math.isfinite(value) else None for name, value in ends.items()} | {"count": seen.count}


def from_json(row: Mapping[str, float | None]) -> Interval:
    """Read what `as_json` wrote."""
    mean, low, high = row["mean"], row["low"], row["high"]
    if mean is None:
        return Interval(math.nan, math.nan, math.nan, int(row["count"] or 0))
    return Interval(mean, -math.inf if low is None else low, math.inf if high is None else high, int(row["count"] or 0))


def differences(scores: Path) -> dict[str, dict[str, Interval]]:
    """Read what the gate judges from the folder of scores: by model and metric, the adapter minus that model."""
    read = read_json(scores / "scores.json")["differences"]
    return {against: {metric: from_json(row) for metric, row in found.items()} for against, found in read.items()}
