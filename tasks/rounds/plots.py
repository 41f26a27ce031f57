"""The picture of rounds: what each of them forgets of every concept, and what it keeps of all else.

forgetting(likeness(roots, done), {"gated": kept(root, rounds)}, most_lost=0.04)
"""

import io
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dopsd.metrics.statistics import Interval
from tasks.comparison.plots import line

Kept = Mapping[int, Interval]
"""CLIP-S on prompts without a concept by round, the new version minus the base."""


def forgetting(frame: pd.DataFrame, kept: Mapping[str, Kept], most_lost: float) -> bytes:
    """Draw a row an arm: at the left a line a concept, at the right what was kept, beside what the gate lets go."""
    figure = Figure(figsize=(11, 3.8 * len(kept)), layout="constrained")
    rows = figure.subplots(len(kept), 2, squeeze=False, sharey="col")
    for (arm, seen), (left, right) in zip(kept.items(), rows, strict=True):
        of_arm = frame[frame["arm"] == arm]
        _forgotten(left, of_arm)
        _kept(right, seen, dict(zip(of_arm["round"], of_arm["verdict"], strict=True)), most_lost)
        left.set_title(arm, loc="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _forgotten(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw each concept from the round that learnt it on, and the mean of those learnt before in black."""
    learnt = frame.dropna(subset="forgotten")
    learnt = learnt[learnt["round"] >= learnt["learnt_in"]]
    for concept, some in learnt.groupby("concept", sort=False):
        axes.plot(some["round"], some["forgotten"], marker="o", markersize=3, label=concept)
    means = learnt[learnt["round"] > learnt["learnt_in"]].groupby("round")["forgotten"].mean()
    axes.plot(means.index, means, color="black", linewidth=2.5, label="mean of those before")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="round", ylabel="DINO-D, minus right after learning it")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="xx-small")


def _kept(axes: Axes, kept: Kept, verdicts: Mapping[int, str], most_lost: float) -> None:
    """Draw CLIP-S with its intervals, and the verdict at each round."""
    line(axes, {float(number): seen for number, seen in kept.items()}, "the round's version")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.axhline(-most_lost, color="red", linestyle="--", linewidth=0.8, label="margin of the gate")
    for number, seen in kept.items():
        axes.annotate(verdicts[number], (number, seen.high), ha="center", va="bottom", fontsize="xx-small")
    axes.set(xlabel="round", ylabel="CLIP-S without a concept, minus the base")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="x-small")
