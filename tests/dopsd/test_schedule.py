"""What changes with the iteration: nothing by default, and in equal parts where it does."""

import pytest

from dopsd.recipe import Training
from dopsd.schedule import ema_decay, learning_rate


def test_without_warm_up_nothing_changes() -> None:
    training = Training()
    assert {learning_rate(training, step) for step in (0, 1, 999)} == {training.learning_rate}
    assert {ema_decay(training, step) for step in (0, 1, 999)} == {training.ema_decay}


def test_the_rate_grows_in_equal_parts_to_its_full_size() -> None:
    training = Training(learning_rate=1e-3, learning_rate_warmup=4)
    rates = [learning_rate(training, step) for step in range(6)]
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])


def test_the_teachers_memory_grows_in_equal_parts_to_its_full_length() -> None:
    training = Training(ema_decay=0.99, ema_warmup=50)
    memory = [1 / (1 - ema_decay(training, step)) for step in range(60)]
    assert memory[:50] == pytest.approx([2 * (step + 1) for step in range(50)])
    assert memory[50:] == pytest.approx([100] * 10)


def test_a_memory_is_never_shorter_than_the_present() -> None:
    assert ema_decay(Training(ema_decay=0.9, ema_warmup=100), 0) == 0
