"""Who is shown whose picture, where a teacher looks at another one of the same concept.

>>> partners(["a", "b", "c"], seed=0)  # {"b": "a", "a": "c", "c": "b"}, say
"""

import hashlib
from collections.abc import Sequence


def partners(ids: Sequence[str], seed: int) -> dict[str, str]:
    """Choose another image for each: its neighbour in a circle, in which all stand in an order drawn from `seed`.

    None is its own partner where there are two or more; an image that is added or removed changes one other pairing.
    """
    circle = sorted(ids, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    return dict(zip(circle, [*circle[1:], *circle[:1]], strict=True))
