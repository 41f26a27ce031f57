"""Function evaluations follow from what a method is."""

import pytest

from dopsd.recipe import Method, Training
from tasks.comparison.evaluations import Evaluations, evaluations

ROWS = {"iterations": 3, "batch_size": 2, "num_steps": 4, "num_samples": 5}


@pytest.mark.parametrize(
    ("method", "prepared", "forward", "backward"),
    [
        ("dopsd", 0, 4 + 4, 4),  # teacher and student at every state of the student's walk
        ("offpolicy", 4 * 5, 4 + 4, 4),  # the walks are made once
        ("anchored", 0, 2 * (4 + 4), 2 * 4),  # D-OPSD twice
        ("sft", 0, 1, 1),
        ("sft-parent", 0, 1, 1),
        ("sft-adapter", 0, 1, 1),
        ("sft-teacher", 4 * 5, 1, 1),  # the teacher's pictures are drawn once
        ("dreambooth", 4 * 5, 2, 2),  # image and prior
        ("pso", 4 * 5, 4, 2),  # winner and loser, by base and student
        ("pso_db", 4 * 5, 2, 2),
    ],
)
def test_a_method_costs_what_its_definition_says(method: Method, prepared: int, forward: int, backward: int) -> None:
    found = evaluations(Training(method=method, **ROWS), num_examples=6)
    assert found == Evaluations(prepared * 6, forward * 6, backward * 6)


def test_of_a_random_state_the_walk_ends_there() -> None:
    found = evaluations(Training(num_states=1, **(ROWS | {"iterations": 40})), num_examples=6)
    assert found.backward == 40 * 2
    assert 40 * 2 * 2 < found.forward < 40 * 2 * 5
