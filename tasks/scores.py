"""Numbers for drawings, and models side by side.

    scores = {model: measured(drawn, judges) for model, drawn in made.items()}
    compared(scores, params.evaluate)

A metric's key is its panel and its name: "concept/dino_d@tiny-dino@3f0c...", "retention/curvature".
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from PIL.Image import Image

from dopsd.metrics import few_step
from dopsd.metrics.faithfulness import ClipScore, plain_prompt
from dopsd.metrics.likeness import DinoDistance
from dopsd.metrics.statistics import difference, summary
from dopsd.recipe import Evaluation
from tasks.drawings import Drawing
from tasks.intervals import as_json


@dataclass(frozen=True)
class Judges:
    """Who measures: likeness to the targets (by image id), and faithfulness to prompts that say `class_noun`."""

    likeness: DinoDistance
    faithfulness: ClipScore
    class_noun: str
    targets: Mapping[str, Image]


@dataclass(frozen=True)
class Score:
    """One value of one drawing."""

    metric: str
    prompt: str
    seed: int
    value: float


def measured(drawn: Sequence[Drawing], judges: Judges) -> list[Score]:
    """Measure everything that the panels ask for: likeness where there is a target, few-step signals on retention."""
    likened = [drawing for drawing in drawn if drawing.prompt.target is not None]
    targets = [judges.targets[str(drawing.prompt.target)] for drawing in likened]
    scores = _scores(judges.likeness.name, likened, judges.likeness.distances(_pictures(likened), targets))
    plain = [plain_prompt(drawing.prompt.text, judges.class_noun) for drawing in drawn]
    scores += _scores(judges.faithfulness.name, drawn, judges.faithfulness.scores(_pictures(drawn), plain))
    kept = [drawing for drawing in drawn if drawing.prompt.panel == "retention"]
    scores += _scores("curvature", kept, [drawing.curvature for drawing in kept])
    for signal in (few_step.sharpness, few_step.contrast, few_step.noise_floor):
        scores += _scores(signal.__name__, kept, signal(_pictures(kept)))
    return scores


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


def _pictures(drawn: Sequence[Drawing]) -> list[Image]:
    return [drawing.picture for drawing in drawn]


def _scores(name: str, drawn: Sequence[Drawing], values: Sequence[float]) -> list[Score]:
    return [
        Score(f"{drawing.prompt.panel}/{name}", drawing.prompt.text, drawing.seed, value)
        for drawing, value in zip(drawn, values, strict=True)
    ]


def _by_metric(scores: Sequence[Score]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for score in scores:
        found.setdefault(score.metric, {}).setdefault(score.prompt, []).append(score.value)
    return found
