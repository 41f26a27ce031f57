"""The sections of a report: what each table says, in words and in Markdown.

scores_section("lora", "LoRA", frame, about); course_section("curves", "Four schemes", frame, "method", about)
"""

import math
from collections.abc import Sequence

import pandas as pd

from dopsd.metrics.statistics import Interval, summary
from tasks.comparison import plots
from tasks.comparison.counts import Evaluations
from tasks.comparison.report import Section
from tasks.comparison.table import BASE, Courses, Table, apart, courses, divergences, means

_PAIRED = "Paired by concept, prompt and noise. An interval that leaves zero out is a difference that we can tell."
_COSTS = (
    "Seconds are of a processor, or of a GPU where there is one; what comes before training is done once a concept "
    "(embed and the probe serve the methods that follow a teacher). Function evaluations are of one picture at one "
    "state: those for samples drawn before the first iteration, forward and backward ones of training, and all "
    "together with a backward counted as two."
)

_SECOND_STAGE = (
    "*Distilled again* is the two-stage way: tune the undistilled parent, then distil what came of it. The second "
    "stage was counted and not run; its seconds are those of as many evaluations in the training of sft-parent."
)
_COST_COLUMNS = (
    "method", "before, s", "training, s", "scoring, s", "drawn first", "forward", "backward", "in all", "steps to draw",
)  # fmt: skip
_REFEREE = (
    "Mean squared difference of their velocities over the student's mean square, on the student's own roll-outs of "
    "prompts and noise that training never saw. The teacher is shown a picture of the concept, one of another concept, "
    'or none; at 0 iterations both are the base. "minus before" is paired by concept, prompt and noise.'
)


def scores_section(name: str, title: str, frame: pd.DataFrame, about: str) -> Section:
    """Say how every method scores, and how it differs from the base and from D-OPSD."""
    scores = means(frame)
    parts = [f"## {title}", about, _legend(frame), _table(scores)]
    parts += ["### Minus the base", _PAIRED, _table(apart(frame, BASE), signed=True)]
    if "dopsd" in scores and len(scores) > 2:
        against = {method: rows for method, rows in apart(frame, "dopsd").items() if method != BASE}
        parts += ["### Minus D-OPSD", _PAIRED, _table(against, signed=True)]
    return Section(name, "\n\n".join(parts), frame, plots.trade(scores), has_cells=True)


def rates_section(name: str, frame: pd.DataFrame, about: str) -> Section:
    """Say what every learning rate gains and loses, on the concepts that it was chosen on."""
    swept = courses(frame, "method", along="learning_rate")
    rows = {f"{method} | {rate:g}": seen for method, rates in swept.items() for rate, seen in rates.items()}
    table = _table(rows, head=["method", "learning rate"], signed=True)
    parts = ["## Learning rates", about, _legend(frame), f"Minus the base. {_PAIRED}", table]
    return Section(name, "\n\n".join(parts), frame, plots.sweep(swept), has_cells=True)


def course_section(name: str, title: str, frame: pd.DataFrame, by: str, about: str, *, reference: str) -> Section:
    """Say how methods, or D-OPSD under different teachers, go on as training does, and where one leaves `reference`."""
    found, beside = courses(frame, by), courses(frame, by, reference=reference)
    parts = [f"## {title}", about, _legend(frame), f"Minus the base. {_PAIRED}", _course(found, by)]
    parts += [f"### Minus {reference}", _PAIRED, _course(beside, by)] if beside else []
    return Section(name, "\n\n".join(parts), frame, plots.course(found), has_cells=True)


def costs_section(costs: pd.DataFrame, num_steps: int, about: str, second: Evaluations | None = None) -> Section:
    """Say what each method costs before training and in it, and what its model costs to use.

    `second` are evaluations of a second stage, distilling the model of sft-parent again.
    """
    own = ["train_seconds", "evaluate_seconds"]
    before = [key for key in costs if key.endswith("_seconds") and key not in own]
    rows = []
    for method, some in costs.groupby("method", sort=False):
        counted = Evaluations(*(round(some[key].mean()) for key in ("prepared", "forward", "backward")))
        said = [_said(_by_concept(some, keys), form=".1f") for keys in (before, own[:1], own[1:])]
        rows.append([str(method), *said, *_counted(counted), str(num_steps)])
        if second is not None and method == "sft-parent":
            seconds = some["train_seconds"].mean() / counted.in_all * (counted + second).in_all
            said[1] = f"about {seconds:.0f}"
            rows.append([f"{method}, distilled again", *said, *_counted(counted + second), str(num_steps)])
    parts = ["## What they cost", about, _COSTS, *([] if second is None else [_SECOND_STAGE])]
    return Section("cost", "\n\n".join([*parts, _markdown(_COST_COLUMNS, rows)]), costs)


def referee_section(frame: pd.DataFrame, about: str) -> Section:
    """Say how far teacher and student disagree before, while and after D-OPSD trains, by what the teacher is shown."""
    found = divergences(frame)
    rows = {f"{image} | {stop}": seen for image, moments in found.items() for stop, seen in moments.items()}
    concepts, seeds = frame["concept"].nunique(), frame["train_seed"].nunique()
    legend = f"Means over {concepts} concepts ({seeds} trainings each), with 95 % intervals over concepts. {_REFEREE}"
    parts = ["## Teacher and student of D-OPSD", about, legend, _table(rows, head=["image", "iterations"])]
    return Section("referee", "\n\n".join(parts), frame, plots.divergence(found))


def _counted(counts: Evaluations) -> list[str]:
    return [str(number) for number in (counts.prepared, counts.forward, counts.backward, counts.in_all)]


def _by_concept(costs: pd.DataFrame, keys: Sequence[str]) -> Interval:
    seconds = costs[list(keys)].sum(axis=1).groupby(costs["concept"]).mean()
    return summary({str(concept): [float(spent)] for concept, spent in seconds.items()})


def _legend(frame: pd.DataFrame) -> str:
    concepts, seeds = frame["concept"].nunique(), frame.loc[frame["method"] != BASE, "train_seed"].nunique()
    return (
        f"Means over {concepts} concepts ({seeds} trainings each), with 95 % intervals over concepts. `concept/` are "
        "prompts that name the concept, `retention/` prompts that do not."
    )


def _course(found: Courses, by: str) -> str:
    rows = {f"{one} | {stop}": seen for one, moments in found.items() for stop, seen in moments.items()}
    return _table(rows, head=[by, "iterations"], signed=True)


def _table(scores: Table, *, head: Sequence[str] = ("method",), signed: bool = False) -> str:
    """Lay methods out in rows and metrics in columns."""
    metrics = list(dict.fromkeys(metric for rows in scores.values() for metric in rows))
    form = "+.3f" if signed else ".3f"
    rows = [[name, *(_said(found.get(metric), form=form) for metric in metrics)] for name, found in scores.items()]
    return _markdown([*head, *(metric.split("@")[0] for metric in metrics)], rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def _said(seen: Interval | None, *, form: str) -> str:
    if seen is None or math.isnan(seen.mean):
        return "-"
    ends = "" if math.isinf(seen.low) else f" [{seen.low:{form}}, {seen.high:{form}}]"
    return f"{seen.mean:{form}}{ends}"
