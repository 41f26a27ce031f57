"""GenEval (arXiv:2310.11513): whether what a prompt names is there, in the right number, colour and place.

>>> asked = orders(Path("evaluation_metadata.jsonl"))
>>> GenEval(Segmenter("models/mask2former"), ClipScore("models/clip-l-14")).answers([picture], asked[:1])

The rules are the published ones; the segmenter is transformers' Mask2Former where theirs is mmdet's, so that values
compare among models of one run rather than with published ones.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from dopsd.metrics.colour import colour_of
from dopsd.metrics.faithfulness import ClipScore
from dopsd.metrics.segmenter import Found, Segmenter

_SURE, _SURE_TO_COUNT, _MOST, _MARGIN = 0.3, 0.9, 16, 0.1
"""Least confidence, the same where objects are counted, most objects a class, margin of positions in object sizes."""
_LEAST = 0.5


@dataclass(frozen=True)
class Wanted:
    """At least `count` objects of a class, all of a colour, each in a position to those of an earlier wish."""

    name: str
    count: int
    colour: str | None = None
    position: tuple[str, int] | None = None


@dataclass(frozen=True)
class Order:
    """One prompt, its kind ("counting", "position" ...), what must be there, and of what there must be fewer."""

    tag: str
    prompt: str
    include: tuple[Wanted, ...]
    exclude: tuple[Wanted, ...] = ()


Colouring = Callable[[Found], str]
"""Names the colour of an object in its picture."""


class GenEval:
    """The rules with a segmenter for objects and a CLIP for their colours."""

    def __init__(self, segmenter: Segmenter, clip: ClipScore) -> None:
        """Take who finds objects and who names colours."""
        self.name = f"geneval@{segmenter.name}"
        self._segmenter, self._clip = segmenter, clip

    def answers(self, images: Sequence[Image], asked: Sequence[Order]) -> list[float]:
        """Judge each picture by its order: 1 where all is as ordered, else 0."""
        found = self._segmenter.found(images, at_least=_SURE)
        return [
            float(is_as_ordered(order, objects, partial(colour_of, image, clip=self._clip)))
            for image, order, objects in zip(images, asked, found, strict=True)
        ]

    @staticmethod
    def shares(asked: Sequence[Order]) -> list[float]:
        """Weigh orders so that the mean over all is the mean of the kinds' means, as published; they average 1."""
        tags = [order.tag for order in asked]
        return [len(tags) / (len(set(tags)) * tags.count(tag)) for tag in tags]


def orders(path: Path) -> list[Order]:
    """Read the published evaluation_metadata.jsonl as it is; raises ValueError naming a line that is none."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: fetch evaluation_metadata.jsonl of GenEval, or name another file")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            wishes = [tuple(_wanted(part) for part in row.get(key, [])) for key in ("include", "exclude")]
            found.append(Order(row["tag"], row["prompt"], wishes[0], wishes[1]))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path}, line {number} is no order of GenEval ({error}): fetch the file again") from error
    return found


def is_as_ordered(order: Order, found: Sequence[Found], colour: Colouring) -> bool:
    """Apply the rules to the objects of one picture; of each class the surest are looked at."""
    least = _SURE_TO_COUNT if order.tag == "counting" else _SURE
    sure = sorted((one for one in found if one.score > least), key=lambda one: -one.score)
    groups: list[list[Found]] = []
    for wish in order.include:
        chosen = _of(wish.name, sure)[: wish.count]
        if len(chosen) < wish.count or (wish.colour and any(colour(one) != wish.colour for one in chosen)):
            return False
        if wish.position and not _are_placed(chosen, wish.position[0], groups[wish.position[1]]):
            return False
        groups.append(chosen)
    return all(len(_of(wish.name, sure)) < wish.count for wish in order.exclude)


def positions(one: Found, other: Found) -> set[str]:
    """Say where `one` is from `other`: "left of", "above" ...; nothing where they are nearer than the margin."""
    boxes = np.array([one.box, other.box], dtype=np.float64).reshape(2, 2, 2)
    (centre, other_centre), sizes = boxes.mean(1), np.abs(boxes[:, 1] - boxes[:, 0]).sum(0)
    apart = centre - other_centre
    clear = np.sign(apart) * np.maximum(np.abs(apart) - _MARGIN * sizes, 0)
    if not clear.any():
        return set()
    right, down = clear / np.linalg.norm(apart)
    said = {"right of": right, "left of": -right, "below": down, "above": -down}
    return {words for words, share in said.items() if share > _LEAST}


def _are_placed(chosen: Sequence[Found], position: str, others: Sequence[Found]) -> bool:
    return all(position in positions(one, other) for one in chosen for other in others)


def _of(name: str, found: Sequence[Found]) -> list[Found]:
    return [one for one in found if one.name == name][:_MOST]


def _wanted(row: dict[str, Any]) -> Wanted:
    position = row.get("position")
    place = (str(position[0]), int(position[1])) if position else None
    return Wanted(str(row["class"]), int(row["count"]), row.get("color"), place)
