"""The numbers of a comparison: every value of every cell, and means by method with intervals over concepts.

    frame = values(cells, out)
    means(frame), apart(frame, "base")

The unit is the concept: prompts and seeds are averaged inside it, so that ten prompts of one concept do not pass for
ten concepts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pandas as pd

from dopsd.metrics.statistics import Interval, difference, summary
from dopsd.recipe import Method
from tasks.comparison.cells import Cell
from tasks.pipeline import PLACES

BASE = "base"
Table = Mapping[str, Mapping[str, Interval]]
"""Method to metric to interval."""


def values(cells: Sequence[Cell], out: Path) -> pd.DataFrame:
    """Gather all rows of finished cells: concept, method, learning_rate, train_seed, metric, prompt, seed, value."""
    frames = []
    for cell in cells:
        rows = pd.read_csv(cell.folder(out) / PLACES["scores"] / "rows.csv", float_precision="round_trip")
        rows["method"] = rows["model"].where(rows["model"] == BASE, cell.method)
        frames.append(rows.assign(concept=cell.concept, learning_rate=cell.learning_rate, train_seed=cell.seed))
    frame = pd.concat(frames, ignore_index=True).drop(columns="model")
    base = frame["method"] == BASE
    frame.loc[base, ["learning_rate", "train_seed"]] = 0  # every cell drew the base again, with the same noise
    return frame.drop_duplicates(ignore_index=True)


def means(frame: pd.DataFrame) -> Table:
    """Give each method's mean of each metric, with a 95 % interval over concepts."""
    return {
        method: {metric: summary(_by_concept(rows)) for metric, rows in some.groupby("metric", sort=False)}
        for method, some in frame.groupby("method", sort=False)
    }


def apart(frame: pd.DataFrame, reference: str) -> Table:
    """Give each method minus `reference`, paired by concept on the same prompts and seeds, with 95 % intervals."""
    theirs = dict(iter(frame[frame["method"] == reference].groupby("metric", sort=False)))
    return {
        method: {
            metric: difference(_by_concept(rows), _by_concept(theirs[metric]))
            for metric, rows in some.groupby("metric", sort=False)
        }
        for method, some in frame[frame["method"] != reference].groupby("method", sort=False)
    }


def best_rates(frame: pd.DataFrame, metric: str) -> dict[Method, float]:
    """Choose for each method the learning rate with the lowest mean of `metric` on concepts kept for this choice."""
    tuned = frame[(frame["method"] != BASE) & (frame["metric"].str.split("@").str[0] == metric)]
    mean = tuned.groupby(["method", "learning_rate"])["value"].mean().reset_index()
    best = mean.loc[mean.groupby("method")["value"].idxmin()]
    return {
        cast(Method, method): float(rate) for method, rate in zip(best["method"], best["learning_rate"], strict=True)
    }


def _by_concept(rows: pd.DataFrame) -> dict[str, list[float]]:
    return {str(concept): [float(mean)] for concept, mean in rows.groupby("concept")["value"].mean().items()}
