"""What was measured, as a table for people.

>>> print(table(measure(Question("z-image", "tiny"))))
"""

from collections.abc import Mapping
from typing import Any


def table(answer: Mapping[str, Any]) -> str:
    """Lay the rows out under their names, the machine above them."""
    names = list(answer["rows"][0])
    rows = [names, *([_shown(row[name]) for name in names] for row in answer["rows"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(names))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([", ".join(answer[about] for about in ("device", "dtype", "date") if about in answer), *lines])


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
