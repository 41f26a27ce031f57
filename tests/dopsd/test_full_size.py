"""The published sizes on a GPU: what docs/performance.md aims at. `pytest -m gpu`, on a machine that has one."""

from typing import Any

import pytest

from dopsd.bench import embed, start
from dopsd.bench.train import Question, measure

pytestmark = pytest.mark.gpu
IN_LITTLE_MEMORY = {"checkpointing": "full", "base_storage": "int8"}


def measured(**asked: Any) -> dict[str, Any]:
    """Measure Z-Image-Turbo at 1024 x 1024 px; give the rows by method."""
    answer = measure(Question("z-image", "full", **asked))
    return {row["method"]: row for row in answer["rows"]}


def test_dopsd_costs_what_its_operations_cost() -> None:
    rows = measured(methods=("dopsd", "sft"))
    assert rows["dopsd"]["times_sft"] <= 1.1 * rows["dopsd"]["times_sft_flops"]
    assert rows["dopsd"]["seconds"] <= 1.6


def test_memory_does_not_grow_with_the_number_of_steps() -> None:
    four, eight = (measured(methods=("dopsd",), num_steps=steps)["dopsd"]["peak_gib"] for steps in (4, 8))
    assert eight == pytest.approx(four, rel=0.02)


def test_thirty_four_gibibytes_are_enough_without_checkpointing() -> None:
    assert measured(methods=("dopsd",))["dopsd"]["peak_gib"] <= 34


def test_compiled_blocks_take_less_time_and_no_more_memory() -> None:
    eager, compiled = (measured(methods=("dopsd",), settings={"compile": on})["dopsd"] for on in (False, True))
    assert compiled["seconds"] < eager["seconds"]
    assert compiled["peak_gib"] <= 1.05 * eager["peak_gib"]


def test_little_memory_is_enough_and_takes_two_and_a_half_times_as_long_at_most() -> None:
    usual = measured(methods=("dopsd",))["dopsd"]
    little = measured(methods=("dopsd",), settings=IN_LITTLE_MEMORY)["dopsd"]
    assert little["peak_gib"] <= 15
    assert little["seconds"] <= 2.5 * usual["seconds"]
    on_host = measured(methods=("dopsd",), settings=IN_LITTLE_MEMORY | {"base_device": "cpu"})["dopsd"]
    assert on_host["peak_gib"] <= little["peak_gib"] - 5


def test_twenty_images_a_second_are_embedded() -> None:
    rows = embed.measure(Question("z-image", "full", methods=(), batches=(8,)))["rows"]
    assert rows[-1]["images_a_second"] >= 20


def test_a_training_begins_within_a_minute() -> None:
    (row,) = start.measure(Question("z-image", "full", methods=()))["rows"]
    assert row["seconds"] <= 60
