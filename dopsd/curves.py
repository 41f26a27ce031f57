"""The curves of a training, a point an iteration, kept as they grow: going back to a checkpoint leaves each point once.

>>> curves = Curves(Path("runs/train/3f0c/curves.jsonl"))
>>> curves.add(0, {"loss": 0.1})
>>> curves.csv(iterations=1)
"""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from dopsd.training import Record


class Curves:
    """Points by iteration, in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        """Read what an interrupted training left; a last line that a kill cut short is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().split("\n")[:-1] if path.is_file() else []
        self._points = {row["step"]: row for row in map(json.loads, lines)}
        self._path = path
        path.write_text("".join(f"{line}\n" for line in lines))

    def __len__(self) -> int:
        """Count the points."""
        return len(self._points)

    def add(self, step: int, point: Mapping[str, float]) -> None:
        """Keep the point of iteration `step`; one that is there already is replaced by its equal."""
        row = {"step": step, **point}
        self._points[step] = row
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def csv(self, iterations: int) -> str:
        """Give the first `iterations` points as CSV, in order; what was not measured at a point is left empty there."""
        rows = [self._points[step] for step in sorted(self._points) if step < iterations]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def point(record: Record) -> dict[str, float]:
    """Name the values of one iteration, as MLflow and curves.csv show them; a gap has the name of its term."""
    names = ("loss", "gradient_norm", "learning_rate", "ema_distance")
    parts = {"gap": record.gaps, "strayed": record.strayed}
    return {name: getattr(record, name) for name in names} | {
        f"{part}_{name}": value for part, values in parts.items() for name, value in values.items()
    }
