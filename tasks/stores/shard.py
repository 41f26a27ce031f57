"""A part of the entries that a stage needs, for one of several processes at once to make.

>>> Shard(3, 100).holds(key)  # of a hundred shards, one does

Which part an entry belongs to follows from its key: so it stays there whatever else is added, made or deleted.
"""

from collections.abc import Collection
from dataclasses import dataclass

_DIGITS = 16


@dataclass(frozen=True)
class Shard:
    """The part `number`, from 1 on, of so many; of the entries with the keys `among`, or of all."""

    number: int
    of: int
    among: Collection[str] | None = None

    def __post_init__(self) -> None:
        """Refuse a part that there is not."""
        if not 1 <= self.number <= self.of:
            raise ValueError(f"there is no shard {self.number} of {self.of}: number them from 1 to {max(1, self.of)}")

    def __str__(self) -> str:
        """Say it in words."""
        return f"shard {self.number} of {self.of}"

    def holds(self, key: str) -> bool:
        """Tell whether the entry of `key` is part of it; keys are digests, so parts are of about one size."""
        is_ours = int(key[:_DIGITS], 16) % self.of == self.number - 1
        return is_ours and (self.among is None or key in self.among)


WHOLE = Shard(1, 1)
