"""Bring a picture of any shape to the size that is trained at.

>>> cover(Image.open("photo.png"), width=1024, height=1024)
>>> kept((3000, 2000), width=1024, height=1024)  # (500.0, 0.0, 2500.0, 2000.0): the part of it that is seen
"""

from PIL import Image

POLICY = "cover, centre, bicubic"  # part of the key of what is computed from the result


def cover(image: Image.Image, *, width: int, height: int) -> Image.Image:
    """Resize until both sides cover the target, keeping the shape, and cut the rest off evenly.

    Sides are rounded and never below the target: rounding down leaves an edge of black pixels at some sizes.
    """
    size, (left, top) = _covering(image.size, width, height)
    resized = image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + width, top + height))


def kept(picture: tuple[int, int], *, width: int, height: int) -> tuple[float, float, float, float]:
    """Say what `cover` keeps of a picture of this size: left, top, right and bottom, in pixels of the picture."""
    size, (left, top) = _covering(picture, width, height)
    across, down = picture[0] / size[0], picture[1] / size[1]
    return left * across, top * down, (left + width) * across, (top + height) * down


def _covering(picture: tuple[int, int], width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give the size to resize to, and the left upper corner of what is cut from that."""
    scale = max(width / picture[0], height / picture[1])
    size = max(width, round(picture[0] * scale)), max(height, round(picture[1] * scale))
    return size, ((size[0] - width) // 2, (size[1] - height) // 2)
