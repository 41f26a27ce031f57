"""Function evaluations, which no machine changes: the network asked for one picture's velocity at one state.

>>> read_counts("81920,85120,48640").in_all  # 264320
"""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Evaluations:
    """Function evaluations of a training: before its first iteration, and in all of them.

    `prepared` are forward, too, and not in `forward`. A backward costs about two forwards.
    """

    prepared: int
    forward: int
    backward: int

    def __add__(self, other: "Evaluations") -> "Evaluations":
        """Count those of two trainings."""
        return Evaluations(self.prepared + other.prepared, self.forward + other.forward, self.backward + other.backward)

    @property
    def in_all(self) -> int:
        """Count them together, a backward as two."""
        return self.prepared + self.forward + 2 * self.backward


def read_counts(said: str) -> Evaluations:
    """Read PREPARED,FORWARD,BACKWARD; raises ValueError where it is something else."""
    counts = said.split(",")
    if len(counts) != len(fields(Evaluations)) or not all(count.strip().isdigit() for count in counts):
        raise ValueError(f"{said!r} are no evaluations: give three counts, such as 81920,85120,48640")
    return Evaluations(*map(int, counts))
