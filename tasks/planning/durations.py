"""How long stages took on this machine, and so how long they may take.

>>> expected("train", history(root), device="cpu")
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

_RECENT = 5


@dataclass(frozen=True)
class Expectation:
    """The median of the last runs of a stage on this kind of device, with the shortest and the longest of them."""

    seconds: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        """Say how long, and how sure that is."""
        if self.runs == 1:
            return f"{clock(self.seconds)} (one run)"
        return f"{clock(self.seconds)} ({clock(self.low)} to {clock(self.high)}, {self.runs} runs)"


def expected(stage: str, history: Iterable[Mapping[str, object]], device: str) -> Expectation | None:
    """Look at the last five runs; None where there is none on such a device."""
    mine = [row for row in history if row.get("stage") == stage and row.get("device") == device]
    took = [float(str(row["seconds"])) for row in mine[-_RECENT:]]
    return Expectation(round(median(took), 1), min(took), max(took), len(took)) if took else None


def clock(seconds: float) -> str:
    """Spell a duration in its largest unit that has a number before the point."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
