"""Distances between whole sets of pictures, with an interval: the number is shared among blocks of prompts.

>>> scores = list(of_sets(FrechetDistance(eyes), drawn, pictures_of_the_base))
"""

from collections.abc import Iterator, Sequence
from typing import Any

from PIL.Image import Image

from dopsd.metrics.statistics import jackknife
from tasks.scoring.drawings import Drawing
from tasks.scoring.sheet import Score, pictures

_MOST_BLOCKS = 64


def of_sets(judge: Any, drawn: Sequence[Drawing], reference: Sequence[Image]) -> Iterator[Score]:
    """Measure a set against pictures that correspond to it, and share the number among blocks of prompts."""
    ours, theirs = judge.eyes.features(pictures(drawn)), judge.eyes.features(reference)
    blocks = _blocks(drawn)

    def apart(some: Sequence[int]) -> float:
        rows = [row for block in some for row in blocks[block]]
        return float(judge.between(ours[rows], theirs[rows]))

    for block, value in zip(blocks, jackknife(len(blocks), apart), strict=True):
        first = drawn[block[0]].prompt
        yield Score(f"{first.panel}/{judge.name}", first.text, drawn[block[0]].seed, value)


def _blocks(drawn: Sequence[Drawing]) -> list[list[int]]:
    """Cut the rows of a set into at most 64 blocks of whole prompts; into one, where a block less leaves no pair."""
    prompts = list(dict.fromkeys(drawing.prompt for drawing in drawn))
    number = {prompt: row % _MOST_BLOCKS for row, prompt in enumerate(prompts)}
    blocks: dict[int, list[int]] = {}
    for row, drawing in enumerate(drawn):
        blocks.setdefault(number[drawing.prompt], []).append(row)
    if len(drawn) - max(map(len, blocks.values())) < 2:
        return [list(range(len(drawn)))]
    return list(blocks.values())
