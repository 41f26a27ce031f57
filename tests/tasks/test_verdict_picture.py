"""A verdict is a picture, whatever it went by."""

import io
import math

import pytest
from PIL import Image

from dopsd.gate import judge
from dopsd.judging import Margins
from dopsd.metrics.statistics import Interval
from tasks.versions.verdict_picture import picture

KEYS = ("concept/dino_d", "retention/clip_s", "retention/curvature", "retention/sharpness", "retention/contrast")


@pytest.mark.parametrize(
    "seen", [Interval(-0.1, -0.2, -0.01, 20), Interval(0.0, 0.0, 0.0, 9), Interval(math.nan, math.nan, math.nan, 9),
             Interval(0.0, -math.inf, math.inf, 1), Interval(0.0, -math.inf, math.inf, 0)],
)  # fmt: skip
def test_any_interval_can_be_drawn(seen: Interval) -> None:
    decision = judge({"base": dict.fromkeys((*KEYS, "retention/noise_floor"), seen)}, Margins())
    with Image.open(io.BytesIO(picture(decision))) as drawn:
        assert drawn.format == "PNG"
        assert drawn.width > 500
