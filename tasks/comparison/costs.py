"""What each training of a comparison cost: seconds of what comes before it, of itself, and function evaluations.

costs(cells, out)  # a row a cell
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from tasks.comparison.cells import Cell
from tasks.comparison.evaluations import evaluations
from tasks.comparison.work import seconds_of
from tasks.comparison.workspaces import finished
from tasks.pipeline import PLACES


def costs(cells: Sequence[Cell], out: Path) -> pd.DataFrame:
    """Gather the costs of finished cells.

    Columns: concept, method, learning_rate, train_seed, a column for the seconds of each stage, and the function
    evaluations prepared, forward, backward.
    """
    return pd.DataFrame([_row(cell, out) for cell in cells])


def _row(cell: Cell, out: Path) -> dict[str, object]:
    record, said = finished(cell.folder(out)), cell.training
    assert record is not None, f"{cell} is not finished"
    shared = out / "concepts" / cell.concept
    num_examples = len(list((shared / PLACES["embeddings"] / "entries").glob("*.safetensors")))
    about = {
        "concept": cell.concept,
        "method": cell.label,
        "learning_rate": said.learning_rate,
        "train_seed": said.seed,
    }
    seconds = {f"{stage}_seconds": spent for stage, spent in seconds_of(shared).items()}
    counted = asdict(evaluations(said, num_examples))
    own = {"train_seconds": record.train_seconds, "evaluate_seconds": record.evaluate_seconds}
    return about | seconds | own | counted
