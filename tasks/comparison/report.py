"""The report of a comparison: tables as Markdown, every value as CSV, and a picture of what each method trades.

write_report(frame, costs, Path("report"))
"""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from dopsd.metrics.statistics import Interval
from tasks.comparison.table import BASE, Table, apart, means
from tasks.folders import write_bytes, write_text

_AXES = ("concept/dino_d", "retention/clip_s")


def write_report(frame: pd.DataFrame, costs: Mapping[str, Sequence[float]], about: str, out: Path) -> None:
    """Write `report.md`, `values.csv` and `trade.png` into `out`; `costs` are seconds of training, one a cell."""
    scores = means(frame)
    parts = [about, "## Scores", _legend(frame), _table(scores)]
    parts += ["## Minus the base", _PAIRED, _table(apart(frame, BASE), signed=True)]
    if "dopsd" in scores and len(scores) > 2:
        against = {method: rows for method, rows in apart(frame, "dopsd").items() if method != BASE}
        parts += ["## Minus D-OPSD", _PAIRED, _table(against, signed=True)]
    parts += ["## Seconds of training", _costs(costs), "![What each method trades](trade.png)"]
    write_text(out / "report.md", "\n\n".join(parts) + "\n")
    write_text(out / "values.csv", frame.to_csv(index=False))
    write_bytes(out / "trade.png", _trade(scores))


_PAIRED = "Paired by concept, prompt and noise. An interval that leaves zero out is a difference that we can tell."


def _legend(frame: pd.DataFrame) -> str:
    concepts, seeds = frame["concept"].nunique(), frame.loc[frame["method"] != BASE, "train_seed"].nunique()
    return (
        f"Means over {concepts} concepts ({seeds} trainings each), with 95 % intervals over concepts; all values: "
        "[values.csv](values.csv). `concept/` are prompts that name the concept, `retention/` prompts that do not."
    )


def _table(scores: Table, *, signed: bool = False) -> str:
    """Lay methods out in rows and metrics in columns."""
    metrics = list(dict.fromkeys(metric for rows in scores.values() for metric in rows))
    head = ["method", *(metric.split("@")[0] for metric in metrics)]
    rows = [
        [method, *(_said(found.get(metric), signed=signed) for metric in metrics)] for method, found in scores.items()
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def _said(seen: Interval | None, *, signed: bool) -> str:
    if seen is None or math.isnan(seen.mean):
        return "-"
    form = "+.3f" if signed else ".3f"
    ends = "" if math.isinf(seen.low) else f" [{seen.low:{form}}, {seen.high:{form}}]"
    return f"{seen.mean:{form}}{ends}"


def _costs(costs: Mapping[str, Sequence[float]]) -> str:
    rows = [f"| {method} | {sum(some) / len(some):.1f} | {len(some)} |" for method, some in costs.items()]
    return "\n".join(["| method | seconds a training | trainings |", "|---|---|---|", *rows])


def _trade(scores: Table) -> bytes:
    """Draw likeness against what was kept: the best are at the upper left; base shows where we came from."""
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for method, rows in scores.items():
        x, y = (_found(rows, metric) for metric in _AXES)
        axes.errorbar(x.mean, y.mean, xerr=_ends(x), yerr=_ends(y), fmt="o", capsize=3, label=method)
    axes.set(xlabel="DINO-D on the concept (lower is nearer)", ylabel="CLIP-S on prompts without it (higher is kept)")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _found(rows: Mapping[str, Interval], metric: str) -> Interval:
    return next(seen for key, seen in rows.items() if key.split("@")[0] == metric)


def _ends(seen: Interval) -> list[list[float]] | None:
    """Give the lengths of an error bar; none where one concept alone was measured."""
    return None if math.isinf(seen.low) else [[seen.mean - seen.low], [seen.high - seen.mean]]
