"""VLM-J: does a picture show the same thing, or the same style, as the target? A judge's mark from 1 to 4.

>>> measure = Consistency(Judge("models/Qwen3-VL-8B-Instruct"), kind="object")
>>> measure.marks([picture], [target])

The paper's rule (arXiv:2605.05204, appendix E), in our words: 4 basically the same, 3 relatively similar, 2 slightly
similar, 1 completely different. It is asked of novel scenes, so all that is not the concept may differ.
"""

from collections.abc import Sequence
from typing import Literal

from PIL.Image import Image

from dopsd.metrics.judge import Judge, Mark, Question

SCALE = {"1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0}

_OBJECT = """You compare the main subject of two images. The first image is the reference. Decide whether the second \
image shows that same individual subject: its shape, parts, colours, patterns and markings count. Ignore background, \
pose, viewpoint, size, lighting and artistic style.
4: basically the same subject
3: relatively similar, a few details differ
2: slightly similar, such as the same category
1: completely different, or the subject is missing
Answer with one digit and nothing else."""
_STYLE = """You compare the artistic style of two images. The first image is the reference. Decide whether the second \
image is made in the same style: medium, line, palette, shading, texture and mood count. Ignore what is depicted and \
how it is composed.
4: basically the same style
3: relatively similar, a few traits differ
2: slightly similar
1: completely different
Answer with one digit and nothing else."""
_RUBRICS = {"object": _OBJECT, "style": _STYLE}
_ASKED = "First image: the reference. Second image: the candidate. Your mark, 1 to 4:"


class Consistency:
    """The judge's mark for the subject ("object") or for the style ("style") that a picture shares with its target."""

    def __init__(self, judge: Judge, kind: Literal["object", "style"] = "object") -> None:
        """Take a judge and what to compare; the rubric is part of the metric's name."""
        self.name = f"vlm_j_{kind}@{judge.name}"
        self._judge, self._rubric = judge, _RUBRICS[kind]

    def marks(self, images: Sequence[Image], targets: Sequence[Image]) -> list[Mark]:
        """Mark each picture against its target, from 1 to 4."""
        asked = [Question(_ASKED, [target, image], self._rubric) for image, target in zip(images, targets, strict=True)]
        return self._judge.marks(asked, SCALE)
