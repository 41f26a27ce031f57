"""Which caption and which picture an entry is made from."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.images.dataset import Pair
from tasks.params import Params, load
from tasks.sections import Embed
from tasks.stores.readings import readings

PAIRS = [Pair(f"id{n}", f"{n}.png", f"a [V] star on colour {n}", Path(f"{n}.png"), (40, 40)) for n in range(5)]
ROOT = Path(__file__).parents[2]


def said(**embed: object) -> Params:
    """Read the params of the repository, with other words for embed."""
    return replace(load(ROOT), embed=Embed.model_validate(embed))


def test_by_default_all_is_made_from_the_image_itself() -> None:
    found = readings(PAIRS, said())
    assert list(found) == ["student", "teacher", "latents"]
    assert all(pairs == PAIRS for _, pairs in found.values())


def test_another_picture_comes_with_ones_own_caption() -> None:
    found = readings(PAIRS, said(teacher_image="another"))
    shown = found["teacher"][1]
    assert [pair.caption for pair in shown] == [pair.caption for pair in PAIRS]
    assert all(other.path != own.path and other.id != own.id for other, own in zip(shown, PAIRS, strict=True))
    assert sorted(pair.id for pair in shown) == [pair.id for pair in PAIRS]
    assert found["student"][1] == found["latents"][1] == PAIRS
    assert readings(PAIRS, said(teacher_image="another"))["teacher"][1] == shown
    assert readings(PAIRS, said(teacher_image="another", pairing_seed=1))["teacher"][1] != shown


def test_another_picture_than_the_only_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"embed\.teacher_image is another, and there is one image"):
        readings(PAIRS[:1], said(teacher_image="another"))


def test_plain_words_name_the_class() -> None:
    plain = readings(PAIRS, said(class_noun="star"))["plain"][1]
    assert [pair.caption for pair in plain] == [f"a star on colour {n}" for n in range(5)]
