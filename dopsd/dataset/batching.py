"""Batches of rows that are alike, so that nothing is padded and no row depends on its neighbours.

>>> list(rows_alike([7, 9, 7]))  # [[0, 2], [1]]
"""

from collections.abc import Iterator, Sequence
from typing import Any

ROWS = 8
"""Rows a batch where nobody says otherwise."""


def rows_alike(kinds: Sequence[Any], most: int = ROWS) -> Iterator[list[int]]:
    """Group the indices of equal `kinds` (a length, a shape), at most `most` together, in order of kind, then index."""
    for kind in sorted(set(kinds)):
        rows = [row for row, other in enumerate(kinds) if other == kind]
        yield from (rows[start : start + most] for start in range(0, len(rows), most))
