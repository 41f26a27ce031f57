"""A budget says how long what is at work may still be."""

import math
import time

import pytest

from flows.budget import Budget


def test_a_tenth_of_the_budget_and_a_minute_at_most_is_kept_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    assert Budget(100.0, begun=970.0).left() == 60.0
    assert Budget(7200.0, begun=970.0).left() == 7110.0
    assert Budget().left() == math.inf
