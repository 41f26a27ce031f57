"""Cut work into pieces that fit into memory.

>>> batches([1, 2, 3], 2)  # [[1, 2], [3]]
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Cut `items` into runs of `size`, the last one shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]
