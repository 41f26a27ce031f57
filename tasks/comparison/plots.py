"""Pictures of a comparison, as PNG: what methods trade, and how they go on as training does.

trade(means(frame)); course(courses(frame, "method"), METRICS)
"""

import io
import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dopsd.metrics.statistics import Interval
from tasks.comparison.table import KEPT, LIKENESS, SHARPNESS, Courses, Table, found

_SAID = {
    LIKENESS: "DINO-D on the concept (lower is nearer)",
    KEPT: "CLIP-S on prompts without it (higher is kept)",
    SHARPNESS: "log sharpness on prompts without it",
}


def trade(scores: Table) -> bytes:
    """Draw likeness against what was kept: the best are at the upper left; base shows where we came from."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for method, rows in scores.items():
        x, y = (found(rows, metric) for metric in (LIKENESS, KEPT))
        axes.errorbar(x.mean, y.mean, xerr=_ends([x]), yerr=_ends([y]), fmt="o", capsize=3, label=method)
    axes.set(xlabel=_SAID[LIKENESS], ylabel=_SAID[KEPT])
    axes.legend()
    return _png(figure)


def sweep(courses: Courses) -> bytes:
    """Draw what each method gains and loses against the base at its learning rates: a line a method, low to high."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for method, rates in courses.items():
        x, y = ([found(rows, metric).mean for rows in rates.values()] for metric in (LIKENESS, KEPT))
        axes.plot(x, y, marker="o", label=method)
    axes.set(xlabel=f"{_SAID[LIKENESS]}, minus the base", ylabel=f"{_SAID[KEPT]}, minus the base")
    axes.legend()
    return _png(figure)


def course(courses: Courses) -> bytes:
    """Draw likeness and quality minus the base's, paired by concept, against iterations: a line a method."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    for axes, (metric, said) in zip(figure.subplots(1, len(_SAID)), _SAID.items(), strict=True):
        axes.axhline(0, color="grey", linewidth=0.8)
        _lines(axes, {name: {at: found(row, metric) for at, row in rows.items()} for name, rows in courses.items()})
        axes.set(xlabel="iterations", title=said, ylabel="minus the base")
    axes.legend()
    return _png(figure)


def divergence(courses: Courses) -> bytes:
    """Draw how far teacher and student disagree against iterations, as it is and paired with the beginning."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, said in zip(figure.subplots(1, 2), ("divergence", "minus before"), strict=True):
        _lines(axes, {f"{name} image": {at: row[said] for at, row in rows.items()} for name, rows in courses.items()})
        axes.set(xlabel="iterations", title=f"teacher and student: {said}")
    axes.legend()
    return _png(figure)


def _lines(axes: Axes, rows: Mapping[str, Mapping[float, Interval]]) -> None:
    """Draw lines side by side, a hair apart, so that no interval hides another."""
    stops = sorted({stop for moments in rows.values() for stop in moments})
    apart = (stops[-1] - stops[0] or 1.0) / 100
    for place, (name, moments) in enumerate(rows.items()):
        shift = (place - (len(rows) - 1) / 2) * apart
        line(axes, {stop + shift: seen for stop, seen in moments.items()}, name)
    axes.set_xticks(stops)


def line(axes: Axes, points: Mapping[float, Interval], name: str) -> None:
    """Draw one line with its intervals."""
    seen = list(points.values())
    axes.errorbar(list(points), [one.mean for one in seen], yerr=_ends(seen), marker="o", capsize=3, label=name)


def _ends(seen: list[Interval]) -> list[list[float]] | None:
    """Give the lengths of error bars; none where one concept alone was measured."""
    if any(math.isinf(one.low) for one in seen):
        return None
    return [[one.mean - one.low for one in seen], [one.high - one.mean for one in seen]]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
