"""How many images a stage computed and how many it found computed, run by run.

>>> note(Path("runs"), "embed", computed=3, reused=1000, damaged=0)
>>> last(Path("runs"), "embed")  # {"computed": 3, "reused": 1000, "damaged": 0}
"""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.folders import read_json, write_json

_LINES = "reuse.jsonl"


def note(runs: Path, stage: str, *, computed: int, reused: int, damaged: int) -> None:
    """Write it down: for whoever asks about the last run, and a line for those who compare runs."""
    counts = {"computed": computed, "reused": reused, "damaged": damaged}
    write_json(runs / stage / "reuse.json", counts)
    line = json.dumps({"stage": stage, "at": round(time.time(), 3)} | counts)
    with (runs / _LINES).open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())  # in one write, so that two stages at once don't mix theirs


def last(runs: Path, stage: str) -> dict[str, int] | None:
    """Give what the last run of a stage counted; None for a stage that does not work image by image."""
    path = runs / stage / "reuse.json"
    found: dict[str, int] | None = read_json(path) if path.is_file() else None
    return found


def with_counts(history: Iterable[Mapping[str, Any]], runs: Path) -> list[dict[str, Any]]:
    """Put to every run of a stage what it counted while it lasted."""
    path = runs / _LINES
    lines = path.read_text().split("\n")[:-1] if path.is_file() else []
    noted = [json.loads(line) for line in lines]
    return [dict(run) | next((_counts(row) for row in noted if _is_of(row, run)), {}) for run in history]


def _is_of(row: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
    is_during = run["began"] <= row["at"] <= run["began"] + run["seconds"]
    return bool(is_during and row["stage"] == run["stage"])


def _counts(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: row[name] for name in ("computed", "reused")}
