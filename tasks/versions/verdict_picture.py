"""A verdict on one picture: every interval beside the range that it was allowed, each in units of its margin.

>>> Path("verdict.png").write_bytes(picture(decision))
"""

import io
import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dopsd.gate import CHECKS, Decision, Outcome, Reason, bounds

_COLOURS = {Outcome.PASSED: "tab:green", Outcome.UNSURE: "tab:orange", Outcome.FAILED: "tab:red"}
_REACH = 3.0
"""So many margins to either side are shown; what lies beyond ends there."""


def picture(decision: Decision) -> bytes:
    """Draw a row a check and reference, the allowed range shaded; gives a PNG."""
    rows = [reason for reason in decision.reasons if reason.observed.count and not math.isnan(reason.observed.mean)]
    figure = Figure(figsize=(8, 1.2 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, reason in enumerate(rows):
        _draw(axes, place, reason)
    axes.set_yticks(range(len(rows)), [f"{reason.check} against {reason.against}" for reason in rows])
    axes.invert_yaxis()
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(title=str(decision.verdict), xlim=(-_REACH, _REACH), xlabel="difference, in margins (shaded: allowed)")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw(axes: Axes, place: int, reason: Reason) -> None:
    """Draw one interval; a margin of 0 is no unit, so the interval's own size is."""
    seen, check = reason.observed, next(check for check in CHECKS if check.name == reason.check)
    ends = [abs(end) for end in (seen.low, seen.high) if math.isfinite(end)]
    scale = reason.margin or max(ends, default=0.0) / 2 or 1.0
    mean, low, high = (_within(value / scale) for value in (seen.mean, seen.low, seen.high))
    left, right = (_within(end / scale) for end in bounds(check, reason.margin))
    axes.barh(place, right - left, left=left, height=0.8, color="tab:green", alpha=0.12)
    axes.plot([low, high], [place, place], color=_COLOURS[reason.outcome], linewidth=2)
    axes.plot([mean], [place], "o", color=_COLOURS[reason.outcome])


def _within(value: float) -> float:
    return max(-_REACH, min(_REACH, value))
