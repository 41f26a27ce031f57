"""Bring a picture of any shape to the size that is trained at.

>>> cover(Image.open("photo.png"), width=1024, height=1024)
"""

from PIL import Image

POLICY = "cover, centre, bicubic"  # part of the key of what is computed from the result


def cover(image: Image.Image, *, width: int, height: int) -> Image.Image:
    """Resize until both sides cover the target, keeping the shape, and cut the rest off evenly.

    Sides are rounded and never below the target: rounding down leaves an edge of black pixels at some sizes.
    """
    scale = max(width / image.width, height / image.height)
    size = max(width, round(image.width * scale)), max(height, round(image.height * scale))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    resized = image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + width, top + height))
