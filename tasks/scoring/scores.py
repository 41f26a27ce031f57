"""Models side by side: means with intervals, paired differences, and every single value.

scores = {model: measured(Sheet(drawn, made["base"], judges), metrics) for model, drawn in made.items()}
compared(scores, params.evaluate)
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from dopsd.judging import Evaluation
from dopsd.metrics.statistics import difference, summary
from tasks.intervals import as_json
from tasks.scoring.sheet import Score


def compared(scores: Mapping[str, Sequence[Score]], evaluation: Evaluation) -> dict[str, Any]:
    """Give every model's means with intervals, and the adapter minus each other model, paired by prompt and seed."""
    by_model = {model: _by_metric(rows) for model, rows in scores.items()}
    sure, draws = evaluation.confidence, evaluation.num_resamples
    means = {
        model: {
            metric: as_json(summary(values, confidence=sure, num_resamples=draws)) for metric, values in metrics.items()
        }
        for model, metrics in by_model.items()
    }
    new = by_model["adapter"]
    apart = {
        model: {
            metric: as_json(difference(new[metric], values, confidence=sure, num_resamples=draws))
            for metric, values in metrics.items()
        }
        for model, metrics in by_model.items()
        if model != "adapter"
    }
    return {"models": means, "differences": apart}


def table(scores: Mapping[str, Sequence[Score]]) -> str:
    """List every value as CSV: model, metric, prompt, seed, value."""
    rows = [{"model": model} | asdict(score) for model, some in scores.items() for score in some]
    return pd.DataFrame(rows).to_csv(index=False)


def _by_metric(scores: Sequence[Score]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for score in scores:
        found.setdefault(score.metric, {}).setdefault(score.prompt, []).append(score.value)
    return found
