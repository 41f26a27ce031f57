"""What a version scored, prompt by prompt and seed by seed, so that any later one is compared with it, undrawn.

>>> differences(marks(room.reads["scores"], params), read(Path("marks.json")), params.evaluate)

A prompt that asks for a known picture goes by the id of that picture, so that an edited caption is the same question.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dopsd.gate import CHECKS
from dopsd.judging import Evaluation
from dopsd.metrics.statistics import Interval, difference
from tasks.folders import read_json, read_rows
from tasks.params import Params

Values = Mapping[str, Mapping[int, float]]
"""What was asked (a prompt, or the id of a picture) to the value a seed."""
_JUDGED = {check.metric for check in CHECKS}
_NOTHING = Interval(0.0, -math.inf, math.inf, 0)


@dataclass(frozen=True)
class Marks:
    """Every value of the metrics that the gate judges by, at the deployed number of steps."""

    num_steps: int
    values: Mapping[str, Values]

    def as_json(self) -> dict[str, Any]:
        """Spell them out; a value that is no number is null."""
        values = {
            metric: {asked: {seed: _number(value) for seed, value in row.items()} for asked, row in some.items()}
            for metric, some in self.values.items()
        }
        return {"num_steps": self.num_steps, "values": values}


def marks(scores: Path, params: Params) -> Marks:
    """Gather the new model's values from the folder of scores."""
    pictures = {"concept": _pictures([scores / "panel"]), "earlier": _pictures(map(Path, params.evaluate.earlier))}
    found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    with (scores / "rows.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["model"] == "adapter" and row["metric"].partition("@")[0] in _JUDGED:
                panel, text = row["metric"].partition("/")[0], row["prompt"]
                asked = pictures.get(panel, {}).get(text, text)
                found[row["metric"]][asked][int(row["seed"])] = float(row["value"] or "nan")
    return Marks(int(read_json(scores / "scores.json")["num_steps"]), found)


def read(said: Mapping[str, Any]) -> Marks:
    """Read what `as_json` spelled."""
    values = {
        metric: {
            asked: {int(seed): math.nan if value is None else value for seed, value in row.items()}
            for asked, row in some.items()
        }
        for metric, some in said["values"].items()
    }
    return Marks(said["num_steps"], values)


def differences(ours: Marks, theirs: Marks, evaluation: Evaluation) -> dict[str, Interval]:
    """Give ours minus theirs, a metric each, over what both were asked with the same seeds.

    A concept that only one of the two was asked for is left out; of everything else that the two do not share, or
    were measured on in other numbers of steps, nothing is known: an interval over 0 prompts.
    """
    found = {}
    for metric, values in ours.values.items():
        known = _of(theirs, metric) if ours.num_steps == theirs.num_steps else {}
        shared = sorted(asked for asked in values if asked in known and values[asked].keys() == known[asked].keys())
        if shared:
            new, old = ({asked: _in_order(some[asked]) for asked in shared} for some in (values, known))
            found[metric] = difference(
                new, old, confidence=evaluation.confidence, num_resamples=evaluation.num_resamples
            )
        elif metric.startswith("retention/"):
            found[metric] = _NOTHING
    return found


def _of(marks: Marks, metric: str) -> Values:
    """Find a metric's values; what is an earlier concept now was the concept when it was learnt."""
    panel, _, name = metric.partition("/")
    then = marks.values.get(f"concept/{name}", {}) if panel == "earlier" else {}
    return {**then, **marks.values.get(metric, {})}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _in_order(seeds: Mapping[int, float]) -> list[float]:
    return [seeds[seed] for seed in sorted(seeds)]


def _pictures(panels: Iterable[Path]) -> dict[str, str]:
    """Map the prompts of kept panels to the ids of the pictures that they ask for."""
    rows = [row for folder in panels for row in read_rows(folder / "panel.jsonl")]
    return {row["text"]: row["target"].removesuffix(".png") for row in rows if row["target"]}
