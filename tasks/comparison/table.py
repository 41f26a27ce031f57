"""The numbers of a comparison: every value of every cell, and means by method with intervals over concepts.

    frame = values(cells, out)
    means(frame), apart(frame, "base")

The unit is the concept: prompts and seeds are averaged inside it, so that ten prompts of one concept do not pass for
ten concepts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from dopsd.metrics.statistics import Interval, difference, summary
from tasks.comparison.cells import Cell
from tasks.pipeline import PLACES

BASE = "base"
LIKENESS, KEPT, SHARPNESS = "concept/dino_d", "retention/clip_s", "retention/sharpness"
Table = Mapping[str, Mapping[str, Interval]]
"""Method (as its cells are labelled), or teacher, to metric to interval."""
Courses = Mapping[str, Mapping[float, Mapping[str, Interval]]]
"""Method (or teacher) to iterations (or learning rate) to metric to interval."""
_OF_A_TRAINING = {"teacher": BASE, "iterations": 0, "learning_rate": 0.0, "train_seed": 0}


def values(cells: Sequence[Cell], out: Path) -> pd.DataFrame:
    """Gather all rows of finished cells.

    Columns: concept, method, teacher, iterations, learning_rate, train_seed, metric, prompt, seed, value.
    """
    frame = pd.concat([_rows(cell, out) for cell in cells], ignore_index=True).drop(columns="model")
    base = frame["method"] == BASE
    for column, nothing in _OF_A_TRAINING.items():
        frame.loc[base, column] = nothing  # every cell drew the base again, with the same noise
    return frame.drop_duplicates(ignore_index=True)


def means(frame: pd.DataFrame, by: str = "method") -> Table:
    """Give each method's mean of each metric, with a 95 % interval over concepts."""
    return {
        name: {metric: summary(_by_concept(rows)) for metric, rows in some.groupby("metric", sort=False)}
        for name, some in frame.groupby(by, sort=False)
    }


def apart(frame: pd.DataFrame, reference: str, by: str = "method") -> Table:
    """Give each method (or what else `by` says) minus `reference`, paired by concept on the same prompts and seeds."""
    theirs = dict(iter(frame[frame[by] == reference].groupby("metric", sort=False)))
    return {
        name: {
            metric: difference(_by_concept(rows), _by_concept(theirs[metric]))
            for metric, rows in some.groupby("metric", sort=False)
        }
        for name, some in frame[frame[by] != reference].groupby(by, sort=False)
    }


def courses(
    frame: pd.DataFrame, by: str, along: Literal["iterations", "learning_rate"] = "iterations", reference: str = BASE
) -> Courses:
    """Give each method (or what else `by` says) minus `reference` at each value of `along`, paired as in `apart`."""
    base, tuned = frame[frame["method"] == BASE], frame[frame["method"] != BASE]
    found: dict[str, dict[float, Mapping[str, Interval]]] = {}
    for point, rows in tuned.groupby(along):
        for name, seen in apart(pd.concat([base, rows]) if reference == BASE else rows, reference, by).items():
            found.setdefault(name, {})[point] = seen
    return found


def divergences(frame: pd.DataFrame) -> Courses:
    """Give by the image that the teacher was shown, at every moment, its divergence, and that minus the one before."""
    found: dict[str, dict[float, Mapping[str, Interval]]] = {}
    for image, rows in frame.groupby("image", sort=False):
        before = _by_concept(rows[rows["iterations"] == 0])
        found[image] = {
            int(stop): {
                "divergence": summary(_by_concept(some)),
                "minus before": difference(_by_concept(some), before),
            }
            for stop, some in rows.groupby("iterations")
        }
    return found


def by_cell(frame: pd.DataFrame) -> pd.DataFrame:
    """Lay out a row a cell, and one for the base on each concept; metrics in columns, means over prompts and noises."""
    named = ["concept", "method", *_OF_A_TRAINING]
    return frame.pivot_table(index=named, columns="metric", values="value", sort=False).reset_index()


def found(rows: Mapping[str, Interval], metric: str) -> Interval:
    """Find a metric whichever model measured it."""
    return next(seen for key, seen in rows.items() if key.split("@")[0] == metric)


def _rows(cell: Cell, out: Path) -> pd.DataFrame:
    rows = pd.read_csv(cell.folder(out) / PLACES["scores"] / "rows.csv")
    said = cell.training
    rows["method"] = rows["model"].where(rows["model"] == BASE, cell.label)
    return rows.assign(
        concept=cell.concept,
        teacher=cell.teacher,
        iterations=said.iterations,
        learning_rate=said.learning_rate,
        train_seed=said.seed,
    )


def _by_concept(rows: pd.DataFrame) -> dict[str, list[float]]:
    return {str(concept): [float(mean)] for concept, mean in rows.groupby("concept")["value"].mean().items()}
