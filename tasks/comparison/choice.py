"""Choose each method's learning rate on concepts kept for this: the nearest, of those that forget little.

>>> chosen(courses(frame, "method", along="learning_rate"), most_lost=0.04)  # {"dopsd": 2e-4, "sft": 1e-4}

What may be lost is what the gate lets go: methods are compared at rates whose models could be used.
"""

from collections.abc import Mapping
from typing import cast

from dopsd.metrics.statistics import Interval
from dopsd.recipe import Method
from tasks.comparison.table import KEPT, LIKENESS, Courses, found


def chosen(swept: Courses, most_lost: float) -> dict[Method, float]:
    """Choose for each method of `swept` (scores minus the base's, by learning rate).

    `most_lost` is by how much CLIP-S on prompts without the concept may fall, on the mean; where every rate loses more,
    it is the one that loses least.
    """
    return {cast(Method, method): _best(rates, most_lost) for method, rates in swept.items()}


def _best(rates: Mapping[float, Mapping[str, Interval]], most_lost: float) -> float:
    kept = {rate: found(rows, KEPT).mean for rate, rows in rates.items()}
    usable = [rate for rate, change in kept.items() if change >= -most_lost]
    if not usable:
        return max(kept, key=lambda rate: kept[rate])
    return min(usable, key=lambda rate: found(rates[rate], LIKENESS).mean)
