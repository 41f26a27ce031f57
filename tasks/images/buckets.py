"""Which size a picture is learnt at: one square for all, or the best of some sizes that have about its area.

>>> buckets(1024, 64)  # ((1024, 1024), (1088, 960), (960, 1088), (1152, 896), ..., (512, 2048)): 17 of them
>>> fitting((3000, 2000), Embed(image_side_px=1024, bucket_step_px=64))  # (1216, 832)
"""

from functools import lru_cache

from tasks.sections import Embed

Size = tuple[int, int]
"""Width and height in pixels."""


@lru_cache
def buckets(side_px: int, step_px: int) -> tuple[Size, ...]:
    """List sizes with sides in whole steps, the square first: to each short side the longest that adds no area.

    Short sides end at half the square's, and shapes at 4:1, as in SDXL (arXiv:2307.01952, appendix I). No area is
    larger than the square's, so that no bucket wants more memory; what it lacks is less than a step of the long side.
    """
    found: list[Size] = [(side_px, side_px)]
    for short in range(side_px - step_px, (side_px - 1) // 2, -step_px):
        long = side_px**2 // short // step_px * step_px
        found += [(long, short), (short, long)]
    return tuple(found)


def fitting(picture: Size, settings: Embed) -> Size:
    """Choose the bucket that most of a picture of this size stays visible in, of equals the one nearest the square."""
    side, step = settings.image_side_px, settings.bucket_step_px
    return max(buckets(side, step), key=lambda size: visible(picture, size)) if step else (side, side)


def visible(picture: Size, size: Size) -> float:
    """Give the share of a picture that is left when it is cut to the shape of `size`, in (0, 1]."""
    one, other = picture[0] * size[1], picture[1] * size[0]
    return min(one, other) / max(one, other)
