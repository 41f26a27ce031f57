"""How long a run may take: what would not fit any more is not begun, and what is at work then is asked to end in time.

>>> budget = Budget.of("2h")
>>> budget.fits(row.expected), budget.left()  # (True, 7199.9)
"""

import math
import time
from dataclasses import dataclass, field

from tasks.planning.durations import Expectation
from tasks.triggers.policy import duration

_GRACE = 0.1
_MOST_GRACE_S = 60.0


class OutOfTime(RuntimeError):
    """The budget ended while a stage was at work; what it had saved is where it goes on."""


@dataclass(frozen=True)
class Budget:
    """So many seconds from `begun` (of the monotonic clock); by default there is no end.

    The last tenth, a minute at most, is kept for what is at work to save and end.
    """

    seconds: float = math.inf
    begun: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, said: str | None) -> "Budget":
        """Read 45m, 2h or 1d12h; None is no end. Raises ValueError for what is no time span, or none at all."""
        if said is None:
            return cls()
        try:
            seconds = duration(said).total_seconds()
        except ValueError as error:
            raise ValueError(f"budget is {said!r}: {error}") from error
        if not seconds:
            raise ValueError(f"budget is {said!r}: nothing would be done in no time; `dopsd plan` says what is to do")
        return cls(seconds)

    def left(self) -> float:
        """Tell how many seconds a stage may still be at work."""
        return self.seconds - min(_GRACE * self.seconds, _MOST_GRACE_S) - (time.monotonic() - self.begun)

    def fits(self, expected: Expectation | None) -> bool:
        """Tell whether a stage may begin; one that never ran on such a device may, while any time is left."""
        return (expected.seconds if expected else 0.0) < self.left()
