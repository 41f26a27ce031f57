"""What the base drew is drawn once, and is the same to the last bit when it is read."""

from pathlib import Path

import pytest
import torch

from dopsd.family import Context
from dopsd.sampling import Walk
from tasks.scoring.base_walks import BaseWalks

WORDS, OTHERS = Context(torch.ones(2, 3)), Context(torch.ones(3, 2))


class Easel:
    def __init__(self) -> None:
        self.drawn = 0

    def draw(self) -> Walk:
        self.drawn += 1
        x = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(self.drawn))
        return Walk(x, x.repeat(4, 1, 1, 1, 1), torch.linspace(1, 0, 5))


def test_a_roll_out_is_drawn_once_for_what_decides_it(tmp_path: Path) -> None:
    easel, kept = Easel(), BaseWalks(tmp_path, "base@1")
    first, again = (kept.walk([WORDS], [0], [2, 3, 3, 4], easel.draw) for _ in range(2))
    assert easel.drawn == 1
    for ours, theirs in zip(vars(first).values(), vars(again).values(), strict=True):
        assert torch.equal(ours, theirs)
    kept.walk([OTHERS], [0], [2, 3, 3, 4], easel.draw)
    kept.walk([WORDS], [1], [2, 3, 3, 4], easel.draw)
    kept.walk([WORDS], [0], [2, 3, 3, 8], easel.draw)
    BaseWalks(tmp_path, "base@2").walk([WORDS], [0], [2, 3, 3, 4], easel.draw)
    assert easel.drawn == 5


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    easel, kept = Easel(), BaseWalks(tmp_path, "base@1")
    kept.walk([WORDS], [0], [2, 3, 3, 4], easel.draw)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=path.name):
        kept.walk([WORDS], [0], [2, 3, 3, 4], easel.draw)
