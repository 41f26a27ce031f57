"""A judge's answers are read strictly, its first token gives the expected mark, and its failures are counted."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from dopsd.metrics.consistency import SCALE, Consistency
from dopsd.metrics.dense_prompt import DensePromptScore, Item, items, score
from dopsd.metrics.judge import YES_OR_NO, Judge, Mark, Question, expected, first_tokens, label
from dopsd.metrics.rating import Rating

HEADER = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,question_natural_language"
)
ROWS = [
    'dog,"A dog, red",,1,0,entity,whole,entity - whole (dog),Is there a dog?',
    'dog,"A dog, red",,2,1,attribute,color,"attribute - color (dog, red)",Is the dog red?',
    'dog,"A dog, red",,3,"1,2",relation,spatial,"relation - spatial (dog, sofa)",Is the red dog on a sofa?',
    "cat,A cat,,1,0,entity,whole,entity - whole (cat),Is there a cat?",
]


class Scripted:
    """A judge that says what it was told to, and remembers what it was asked."""

    name = "scripted@0"

    def __init__(self, *marks: Mark) -> None:
        self.marks_left, self.asked = list(marks), list[Question]()

    def marks(self, questions: list[Question], scale: object) -> list[Mark]:
        self.asked += questions
        return [self.marks_left.pop(0) for _ in questions]


@pytest.mark.parametrize(
    ("text", "mark"),
    [("4", 4), (" 3.", 3), ("Score: 2", 2), ("2 points", 2), ("**1**", 1)]
    + [(text, math.nan) for text in ("", "four", "5", "0", "3 or 4", "4/4", "3.5", "-1", "1-4: 2")],
)
def test_a_mark_is_read_only_where_there_is_exactly_one(text: str, mark: float) -> None:
    assert label(text, SCALE) == pytest.approx(mark, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "mark"), [("Yes", 1), ("no.", 0), ("NO", 0), ("yes and no", math.nan), ("maybe", math.nan)]
)
def test_yes_and_no_are_words(text: str, mark: float) -> None:
    assert label(text, YES_OR_NO) == pytest.approx(mark, nan_ok=True)


def test_the_expected_mark_is_the_mean_under_the_labels_probabilities() -> None:
    logits = torch.full((10,), 50.0)  # what is no label does not count, however likely
    logits[[1, 2, 3, 4]] = torch.tensor([0.0, 0.0, math.log(2), -math.inf])
    assert expected(logits, {str(n): [n] for n in range(1, 5)}, SCALE) == pytest.approx((1 + 2 + 2 * 3) / 4)


def test_both_spellings_of_an_answer_count() -> None:
    logits = torch.tensor([0.0, 0.0, math.log(2)])
    assert expected(logits, {"yes": [0, 1], "no": [2]}, YES_OR_NO) == pytest.approx(0.5)


def test_labels_that_begin_alike_are_refused(models: Any) -> None:
    tokenizer = Judge(models.vision_language)._seeing.processor.tokenizer
    assert set(first_tokens(tokenizer, SCALE)) == set("1234")
    with pytest.raises(ValueError, match="begins two of north, no alike"):
        first_tokens(tokenizer, {"north": 1.0, "no": 0.0})


def test_a_judge_answers_every_question_by_itself(models: Any, picture: Callable[[int], Image.Image]) -> None:
    judge = Judge(models.vision_language)
    questions = [Question("Mark?", [picture(0), picture(1)], "Be strict."), Question("Mark?", [picture(1)])]
    both = judge.marks(questions, SCALE)
    assert both[1].said == judge.marks(questions[1:], SCALE)[0].said
    assert all(1 < mark.expected < 4 for mark in both)
    assert both[1].expected == pytest.approx(judge.marks(questions[1:], SCALE)[0].expected, abs=1e-5)


def test_what_the_judge_says_becomes_the_mark(
    models: Any, picture: Callable[[int], Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(models.vision_language)
    tokenizer = judge._seeing.processor.tokenizer
    logits = torch.full((1, 264), -100.0)
    logits[0, tokenizer.encode("3")[0]] = 0

    def generate(input_ids: torch.Tensor, **_: object) -> SimpleNamespace:
        new = torch.tensor([tokenizer.encode("3\n")])
        return SimpleNamespace(sequences=torch.cat([input_ids, new], 1), logits=(logits,))

    monkeypatch.setattr(judge._seeing.model, "generate", generate)
    mark = judge.marks([Question("Mark?", [picture(0)])], SCALE)[0]
    assert (mark.said, mark.label) == ("3", 3)
    assert mark.expected == pytest.approx(3)


def test_the_target_is_shown_first_and_the_rubric_is_the_kinds_own(picture: Callable[[int], Image.Image]) -> None:
    judge = Scripted(Mark("4", 4, 3.9), Mark("?", math.nan, 2.0))
    image, target = picture(0), picture(1)
    assert Consistency(judge, "object").marks([image], [target])[0].label == 4  # type: ignore[arg-type]
    assert Consistency(judge, "style").marks([image], [target])[0].is_unread  # type: ignore[arg-type]
    assert all(question.images == [target, image] for question in judge.asked)
    assert "subject" in judge.asked[0].system
    assert "style" in judge.asked[1].system
    assert Consistency(judge, "style").name == "vlm_j_style@scripted@0"  # type: ignore[arg-type]


def test_a_rating_shows_one_picture_and_no_prompt(picture: Callable[[int], Image.Image]) -> None:
    judge = Scripted(Mark("5", 5, 5), Mark("1", 1, 1))
    marks = [Rating(judge, kind).marks([picture(0)])[0].label for kind in ("quality", "aesthetic")]  # type: ignore[arg-type]
    assert marks == [5, 1]
    assert judge.asked[0].system != judge.asked[1].system
    assert all(len(question.images) == 1 for question in judge.asked)


def test_dpgs_file_is_read_as_published_with_its_first_proposition(tmp_path: Path) -> None:
    (tmp_path / "dpg.csv").write_text("\n".join([HEADER, *ROWS]) + "\n", encoding="utf-8-sig")
    dog, cat = items(tmp_path / "dpg.csv")
    assert (dog.id, dog.prompt, cat.prompt) == ("dog", "A dog, red", "A cat")
    assert list(dog.questions) == [1, 2, 3]
    assert dog.parents == {1: (), 2: (1,), 3: (1, 2)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a,b\n1,2\n", "no column item_id"), (HEADER + "\nx,X,,1,2,a,b,c,Is it?\n", "question 1 of x depends on one")],
)
def test_another_file_is_told_from_dpgs(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "dpg.csv").write_text(text)
    with pytest.raises(ValueError, match=reason):
        items(tmp_path / "dpg.csv")
    with pytest.raises(FileNotFoundError, match=r"there is no .*none\.csv"):
        items(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("answers", "share"), [((1, 1, 1), 1), ((1, 0, 1), 1 / 3), ((0, 1, 1), 0), ((1, 1, 0), 2 / 3), ((0, 0, 0), 0)]
)
def test_a_question_counts_only_with_all_that_it_depends_on(answers: tuple[int, ...], share: float) -> None:
    said = {number: bool(answer) for number, answer in enumerate(answers, start=1)}
    assert score(said, {1: (), 2: (1,), 3: (2,)}) == pytest.approx(share)


def test_dpg_asks_every_question_of_every_picture(picture: Callable[[int], Image.Image]) -> None:
    yes, no = Mark("", math.nan, 0.9), Mark("", math.nan, 0.1)
    judge = Scripted(yes, no, yes)
    asked = [Item("a", "A", {1: "One?", 2: "Two?"}, {1: (), 2: (1,)}), Item("b", "B", {1: "Three?"}, {1: ()})]
    assert DensePromptScore(judge).scores([picture(0), picture(1)], asked) == [0.5, 1]  # type: ignore[arg-type]
    assert [question.text for question in judge.asked] == [
        f"{text} Answer yes or no." for text in ("One?", "Two?", "Three?")
    ]
