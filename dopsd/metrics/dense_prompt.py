"""DPG: how much of a long prompt is in the picture, asked question by question (DPG-Bench, arXiv:2403.05135).

>>> asked = items(Path("dpg_bench.csv"))
>>> DensePromptScore(Judge("models/Qwen3-VL-8B-Instruct")).scores([picture], asked[:1])

The published judge is mPLUG-large; with another judge values compare among models of one run alone.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL.Image import Image

from dopsd.metrics.judge import YES_OR_NO, Judge, Question

_COLUMNS = ("item_id", "text", "proposition_id", "dependency", "question_natural_language")
_ANSWER = "Answer yes or no."


@dataclass(frozen=True)
class Item:
    """One prompt, its questions by number, and for each question those that must be yes for it to count."""

    id: str
    prompt: str
    questions: dict[int, str] = field(default_factory=dict)
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)


class DensePromptScore:
    """The share of an item's questions that a judge answers with yes; one whose parent is no counts as no."""

    def __init__(self, judge: Judge) -> None:
        """Take a judge."""
        self.name = f"dpg@{judge.name}"
        self._judge = judge

    def scores(self, images: Sequence[Image], asked: Sequence[Item]) -> list[float]:
        """Score each picture by its item, in [0, 1]; yes is where the judge's first token leans to it."""
        pairs = [
            (row, number) for row, (_, item) in enumerate(zip(images, asked, strict=True)) for number in item.questions
        ]
        questions = [Question(f"{asked[row].questions[number]} {_ANSWER}", [images[row]]) for row, number in pairs]
        answers: list[dict[int, bool]] = [{} for _ in asked]
        for (row, number), mark in zip(pairs, self._judge.marks(questions, YES_OR_NO), strict=True):
            answers[row][number] = mark.expected > 0.5
        return [score(said, item.parents) for said, item in zip(answers, asked, strict=True)]


def score(answers: Mapping[int, bool], parents: Mapping[int, Sequence[int]]) -> float:
    """Give the share of questions that hold: answered yes, and so are all that they depend on, and theirs."""

    def holds(number: int) -> bool:
        return answers[number] and all(holds(parent) for parent in parents[number])

    return sum(holds(number) for number in answers) / len(answers)


def items(path: Path) -> list[Item]:
    """Read the published dpg_bench.csv as it is, every proposition of it.

    Raises ValueError naming a missing column, or a row whose parents are not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: fetch dpg_bench.csv of DPG-Bench, or name another file")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if missing := [column for column in _COLUMNS if not rows or column not in rows[0]]:
        raise ValueError(f"{path} has no column {missing[0]}: fetch dpg_bench.csv of DPG-Bench again")
    found: dict[str, Item] = {}
    for row in rows:
        item = found.setdefault(row["item_id"], Item(row["item_id"], row["text"]))
        number = int(row["proposition_id"])
        item.questions[number] = row["question_natural_language"]
        item.parents[number] = tuple(int(part) for part in row["dependency"].split(",") if int(part))
    for item in found.values():
        _check_parents(path, item)
    return list(found.values())


def _check_parents(path: Path, item: Item) -> None:
    """Refuse a dependency on a question that comes later or never: it could go in a circle."""
    for number, parents in item.parents.items():
        if any(parent not in item.questions or parent >= number for parent in parents):
            raise ValueError(f"{path}: question {number} of {item.id} depends on one that does not come before it")
