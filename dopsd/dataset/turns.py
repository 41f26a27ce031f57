"""Whose turn it is to fill a batch, where examples of unlike sizes (lanes) cannot share one.

>>> turn([6, 1], size=4, step=0, seed=0)  # Turn(lane=0, number=0): the first four of lane 0
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Turn:
    """The batch that a lane fills for the `number`-th time, counted from 0 over the whole training."""

    lane: int
    number: int


def turn(lengths: Sequence[int], *, size: int, step: int, seed: int) -> Turn:
    """Say who fills the batch of iteration `step`; lanes have so many examples, and a batch has `size`.

    A round is the fewest epochs, at most `size`, that whole batches of every lane come out even at: after it, every
    example was drawn as often as every other, however short its lane. Within a round each lane's turns are spread
    evenly, one drawn from each of as many equal parts, so that no lane is ever far ahead.
    """
    epochs = math.lcm(*(size // math.gcd(size, length) for length in lengths))
    turns = [length * epochs // size for length in lengths]
    round_, place = divmod(step, sum(turns))
    rng = np.random.default_rng((seed, round_))
    moments = np.concatenate([(np.arange(count) + rng.random(count)) / count for count in turns])
    order = np.repeat(np.arange(len(turns)), turns)[moments.argsort(kind="stable")]
    lane = int(order[place])
    return Turn(lane, round_ * turns[lane] + int((order[:place] == lane).sum()))
