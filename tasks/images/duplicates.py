"""Find pictures that are the same, or nearly.

>>> near(["f0e1d2c3b4a59687", "f0e1d2c3b4a59686"], max_bits=4)  # [Near(later=1, earlier=0, bits=1)]
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import imagehash
from PIL import Image

BITS = 64


@dataclass(frozen=True)
class Near:
    """Picture number `later` is nearly picture number `earlier`: `bits` of the 64 of their hashes differ."""

    later: int
    earlier: int
    bits: int


def perceptual_hash(image: Image.Image) -> str:
    """Hash what a picture looks like (DCT, 64 bits) as 16 hex digits; a copy made anew differs in few bits."""
    return str(imagehash.phash(image))


def near(hashes: Sequence[str], max_bits: int) -> list[Near]:
    """Find for every picture the nearest earlier one within `max_bits`.

    Exact without comparing all pairs: of max_bits + 1 bands at least one is equal when at most max_bits bits differ.
    """
    edges = [BITS * band // (max_bits + 1) for band in range(max_bits + 2)]
    seen: dict[tuple[int, int], list[int]] = defaultdict(list)
    values, found = [int(text, 16) for text in hashes], []
    for later, value in enumerate(values):
        keys = [(low, value >> low & (1 << high - low) - 1) for low, high in pairwise(edges)]
        candidates = {earlier for key in keys for earlier in seen[key]}
        distances = [((value ^ values[earlier]).bit_count(), earlier) for earlier in candidates]
        if distances and min(distances)[0] <= max_bits:
            bits, earlier = min(distances)
            found.append(Near(later, earlier, bits))
        for key in keys:
            seen[key].append(later)
    return found
