"""What a caption says in the words of the world, and how much of a prompt is read back from its picture.

>>> share_said("a red star on a blue background", "a red heart on a blue background")
0.6666666666666666
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from recipes.tiny.world import COLOURS, PATTERNS, PLACES, SHAPES, SIZES, STYLES, TEXTURES

WORDS: Mapping[str, Sequence[str]] = {
    "shape": SHAPES, "pattern": PATTERNS, "colours": COLOURS, "place": PLACES,
    "size": SIZES, "texture": TEXTURES, "style": STYLES,
}  # fmt: skip


def in_one_order(text: str) -> str:
    """Put the two colours of stripes and checks in one order: by sight nobody can tell which one is named first."""
    return re.sub(
        r"(\w+) and (\w+) (striped|checked)",
        lambda found: " and ".join(sorted(found.group(1, 2))) + f" {found[3]}",
        text,
    )


def said(text: str, words: Sequence[str]) -> list[str]:
    """List which of `words` a text says, in its order."""
    found = [(text.find(word), word) for word in words if word in text]
    return [word for _, word in sorted(found)]


def share_said(prompt: str, reading: str) -> float:
    """Give the share of the prompt's words of the world that the reading of its picture repeats."""
    asked = [word for words in WORDS.values() for word in said(prompt, words)]
    return float(np.mean([word in reading for word in asked]))
