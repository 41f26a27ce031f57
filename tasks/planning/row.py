"""One line of a plan: what happens to a stage, why, how many images it would compute, how long that may take."""

from dataclasses import dataclass
from enum import StrEnum

from tasks.planning.count import Count
from tasks.planning.durations import Expectation


class Decision(StrEnum):
    """What happens to a stage: it runs, its output stands or is restored, or that depends on a stage before it."""

    RUN = "RUN"
    CACHED = "CACHED"
    MAYBE = "MAYBE"


@dataclass(frozen=True)
class Row:
    """One stage of the plan; reasons beside CACHED say why its output is restored from the cache.

    `images` are those that a run of the stage would compute, for stages that work image by image.
    """

    name: str
    decision: Decision
    reasons: tuple[str, ...]
    images: Count | None = None
    expected: Expectation | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing at all is to be done."""
        return self.decision is Decision.CACHED and not self.reasons
