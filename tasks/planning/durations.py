"""How long stages took on this machine, and so how long they may take.

>>> expected("embed", history(root), "cpu", Count(3, 1000))
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median

from tasks.planning.count import Count

_RECENT = 5


@dataclass(frozen=True)
class Expectation:
    """How long a stage may take, between which bounds, by how many of its last runs on this kind of device."""

    seconds: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        """Say how long, and how sure that is."""
        runs = "one run" if self.runs == 1 else f"{self.runs} runs"
        if self.low == self.high:
            return f"{clock(self.seconds)} ({runs})"
        return f"{clock(self.seconds)} ({clock(self.low)} to {clock(self.high)}, {runs})"


def expected(
    stage: str, history: Iterable[Mapping[str, object]], device: str, images: Count | None = None
) -> Expectation | None:
    """Look at the last five runs; None where there is none on such a device.

    Where it is known how many images each of them computed, their times are scaled to `images`.
    """
    mine = [row for row in history if row.get("stage") == stage and row.get("device") == device]
    counted = [(int(str(row["computed"])), float(str(row["seconds"]))) for row in mine if "computed" in row]
    if images is not None and counted:
        return _scaled(counted[-_RECENT:], images.computed)
    took = [float(str(row["seconds"])) for row in mine[-_RECENT:]]
    return Expectation(round(median(took), 1), min(took), max(took), len(took)) if took else None


def _scaled(runs: Sequence[tuple[int, float]], images: int) -> Expectation | None:
    """Bound the time for so many images by each run, as if it were a fixed part and a part an image.

    A run of 10 images in 20 s says of 30 images: 20 s to 60 s. Runs of different sizes tell the two parts apart; None
    where images are to be computed and no run computed any.
    """
    lows = [took * min(1.0, images / computed if computed else 1.0) for computed, took in runs]
    highs = [took * max(1.0, images / (computed or 1)) for computed, took in runs if computed or not images]
    if not highs:
        return None
    low, high = sorted((max(lows), min(highs)))
    middle = (low + high) / 2
    if len({computed for computed, _ in runs}) > 1:
        slope, fixed = linear_regression(*zip(*runs, strict=True))
        middle = min(max(fixed + slope * images, low), high)
    return Expectation(round(middle, 1), round(low, 1), round(high, 1), len(runs))


def clock(seconds: float) -> str:
    """Spell a duration in its largest unit that has a number before the point."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
