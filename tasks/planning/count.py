"""How many images a stage would compute, and how many it would find computed.

>>> str(Count(3, 1000)), str(Count(3, 1000, "at most"))  # "3 of 1003", "at most 3 of 1003"
"""

from dataclasses import dataclass
from typing import Literal

Certainty = Literal["exactly", "at most", "about"]


@dataclass(frozen=True)
class Count:
    """Images to compute and to reuse; less than exact where they wait for what an earlier stage makes."""

    computed: int
    reused: int
    certainty: Certainty = "exactly"

    def __str__(self) -> str:
        """Say it in words, the usual one left out."""
        said = f"{self.computed} of {self.computed + self.reused}"
        return said if self.certainty == "exactly" else f"{self.certainty} {said}"


def joined(one: Certainty, other: Certainty) -> Certainty:
    """Join two certainties: what rests on both is as sure as the less sure one."""
    order: list[Certainty] = ["exactly", "at most", "about"]
    return max(one, other, key=order.index)
