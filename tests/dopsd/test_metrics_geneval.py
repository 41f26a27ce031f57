"""GenEval's rules on detections written by hand, its file as published, and what finds and colours objects."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    SwinConfig,
)

from dopsd.metrics.colour import cut_out
from dopsd.metrics.geneval import GenEval, Order, is_as_ordered, orders, positions
from dopsd.metrics.segmenter import Found, Segmenter

LINES = [
    {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"},
    {
        "tag": "two_object",
        "include": [{"class": "bench", "count": 1}, {"class": "cup", "count": 1}],
        "prompt": "a photo of a bench and a cup",
    },
    {
        "tag": "counting",
        "include": [{"class": "cup", "count": 2}],
        "exclude": [{"class": "cup", "count": 3}],
        "prompt": "a photo of two cups",
    },
    {"tag": "colors", "include": [{"class": "cup", "count": 1, "color": "red"}], "prompt": "a photo of a red cup"},
    {
        "tag": "position",
        "include": [{"class": "bench", "count": 1}, {"class": "cup", "count": 1, "position": ["right of", 0]}],
        "prompt": "a photo of a cup right of a bench",
    },
    {
        "tag": "color_attr",
        "include": [{"class": "bench", "count": 1, "color": "blue"}, {"class": "cup", "count": 1, "color": "red"}],
        "prompt": "a photo of a blue bench and a red cup",
    },
]


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Order]:
    """Read the six kinds of prompts from a file of the published form."""
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return {order.tag: order for order in orders(tmp_path / "metadata.jsonl")}


def thing(name: str, left: int, top: int, score: float = 0.95, side: int = 10) -> Found:
    """Find a square object somewhere in 100 x 100 pixels."""
    mask = np.zeros((100, 100), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return Found(name, score, mask)


def holds(order: Order, *found: Found, colours: tuple[tuple[str, str], ...] = ()) -> bool:
    return is_as_ordered(order, found, lambda one: dict(colours)[one.name])


BENCH, CUP = thing("bench", 10, 50), thing("cup", 60, 50)


def test_an_object_must_be_there_and_sure(asked: dict[str, Order]) -> None:
    assert holds(asked["single_object"], BENCH, CUP)
    assert not holds(asked["single_object"], CUP)
    assert not holds(asked["single_object"], thing("bench", 0, 0, score=0.3))
    assert holds(asked["two_object"], BENCH, CUP)
    assert not holds(asked["two_object"], BENCH)


def test_counting_wants_neither_fewer_nor_more_and_is_stricter(asked: dict[str, Order]) -> None:
    cups = [thing("cup", left, 0) for left in (0, 30, 60)]
    assert [holds(asked["counting"], *cups[:count]) for count in (1, 2, 3)] == [False, True, False]
    assert holds(asked["counting"], *cups[:2], thing("cup", 0, 60, score=0.85))
    assert not holds(asked["counting"], cups[0], thing("cup", 0, 60, score=0.85))


def test_colours_belong_to_their_objects(asked: dict[str, Order]) -> None:
    right = (("bench", "blue"), ("cup", "red"))
    assert holds(asked["colors"], CUP, colours=right)
    assert holds(asked["color_attr"], BENCH, CUP, colours=right)
    assert not holds(asked["color_attr"], BENCH, CUP, colours=(("bench", "red"), ("cup", "blue")))


def test_only_the_surest_of_a_class_is_looked_at(asked: dict[str, Order]) -> None:
    seen = []
    is_as_ordered(
        asked["colors"], [thing("cup", 0, 0, 0.5), thing("cup", 50, 0, 0.9)], lambda one: seen.append(one) or ""
    )  # type: ignore[func-returns-value]
    assert [one.score for one in seen] == [0.9]


def test_positions_are_told_by_centres_beyond_a_margin(asked: dict[str, Order]) -> None:
    assert holds(asked["position"], BENCH, CUP)
    assert not holds(asked["position"], thing("bench", 60, 50), thing("cup", 10, 50))
    middle = thing("bench", 40, 40)
    where = [thing("cup", *place) for place in ((0, 40), (80, 40), (40, 0), (40, 80))]
    assert [positions(one, middle) for one in where] == [{"left of"}, {"right of"}, {"above"}, {"below"}]
    assert positions(thing("cup", 80, 80), middle) == {"right of", "below"}
    assert positions(thing("cup", 42, 40), middle) == set()  # the margin is a tenth of both sides
    assert positions(thing("cup", 43, 40), middle) == set()  # nearer than half of the way to the right


def test_every_kind_counts_alike(asked: dict[str, Order]) -> None:
    some = [asked["counting"]] * 3 + [asked["colors"]]
    weights = GenEval.shares(some)
    assert sum(weights) == pytest.approx(len(some))
    assert np.mean([weight * answer for weight, answer in zip(weights, (1, 1, 1, 0), strict=True)]) == pytest.approx(
        0.5
    )


def test_a_line_that_is_no_order_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text('{"tag": "colors"}\n')
    with pytest.raises(ValueError, match="line 1 is no order of GenEval"):
        orders(tmp_path / "metadata.jsonl")


def test_an_object_is_cut_out_over_grey() -> None:
    picture = Image.new("RGB", (100, 100), "red")
    mask = CUP.mask.copy()
    mask[50, 60] = False
    cut = cut_out(picture, Found("cup", 1.0, mask))
    assert cut.size == (10, 10)
    assert cut.getpixel((0, 0)) == (0x99, 0x99, 0x99)
    assert cut.getpixel((5, 5)) == (255, 0, 0)


def test_a_segmenter_finds_named_objects_of_the_pictures_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=[f"stage{n}" for n in range(1, 5)],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, num_queries=6, num_labels=2,
        id2label={0: "mouse", 1: "cup"}, label2id={"mouse": 0, "cup": 1},
    )  # fmt: skip
    Mask2FormerForUniversalSegmentation(config).save_pretrained(tmp_path / "m2f")
    Mask2FormerImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 64}).save_pretrained(tmp_path / "m2f")
    segmenter = Segmenter(tmp_path / "m2f")
    picture = Image.new("RGB", (48, 32), "red")
    found = segmenter.found([picture, picture], at_least=0.0)
    assert segmenter.name.startswith("m2f@")
    assert {one.name for one in found[0]} <= {"computer mouse", "cup"}
    assert all(one.mask.shape == (32, 48) and one.mask.any() for one in found[0])
    assert [one.box for one in found[0]] == [one.box for one in found[1]]
    assert segmenter.found([picture], at_least=1.1) == [[]]
