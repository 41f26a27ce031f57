"""Quality-S and Aesthetic-S: an open judge's mark from 1 to 5 for one picture, without its prompt.

>>> Rating(Judge("models/Qwen3-VL-8B-Instruct"), "quality").marks([picture])

The paper's own reward model is not public (arXiv:2605.05204, appendix E): marks compare with marks of the same judge
alone, and no number here stands beside one of the paper's.
"""

from collections.abc import Sequence
from typing import Literal

from PIL.Image import Image

from dopsd.metrics.judge import Judge, Mark, Question

SCALE = {"1": 1.0, "2": 2.0, "3": 3.0, "4": 4.0, "5": 5.0}

_QUALITY = """You rate the technical quality of an image, whatever it shows and whether you like it. Look for blur, \
grain, halos and over-sharpened edges, washed-out or burnt areas, broken or unfinished shapes, repeated artefacts.
5: flawless
4: good, faults only on close look
3: acceptable, faults are visible
2: poor, faults disturb
1: bad, faults are all one sees
Answer with one digit and nothing else."""
_AESTHETIC = """You rate how pleasing an image is to look at, whatever it shows and however clean it is technically. \
Look at composition, balance, harmony of colours, light, and whether the style is carried through.
5: excellent
4: pleasing
3: ordinary
2: unpleasing
1: ugly
Answer with one digit and nothing else."""
_RUBRICS = {"quality": _QUALITY, "aesthetic": _AESTHETIC}


class Rating:
    """The judge's mark for a picture's technical "quality" or for its "aesthetic"."""

    def __init__(self, judge: Judge, kind: Literal["quality", "aesthetic"]) -> None:
        """Take a judge and what to rate."""
        self.name = f"{kind}_s@{judge.name}"
        self._judge, self._rubric = judge, _RUBRICS[kind]

    def marks(self, images: Sequence[Image]) -> list[Mark]:
        """Mark each picture by itself, from 1 to 5."""
        return self._judge.marks([Question("Your mark, 1 to 5:", [image], self._rubric) for image in images], SCALE)
