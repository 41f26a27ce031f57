"""Tensors as pictures, and pictures on one sheet."""

from collections.abc import Iterable

from PIL import Image
from torch import Tensor

_COLUMNS, _ZOOM = 16, 2


def as_image(image: Tensor) -> Image.Image:
    """Turn one RGB image in [0, 1], shape (3, side, side), into a picture of 8 bits."""
    return Image.fromarray((image.clamp(0, 1).permute(1, 2, 0) * 255).round().byte().numpy())


def sheet(pictures: Iterable[Image.Image], columns: int = _COLUMNS) -> Image.Image:
    """Lay pictures of one size out in rows, twice as large."""
    tiles = [
        picture.resize((picture.width * _ZOOM, picture.height * _ZOOM), Image.Resampling.NEAREST)
        for picture in pictures
    ]
    width, height = tiles[0].size
    page = Image.new("RGB", (width * columns, height * -(-len(tiles) // columns)), "white")
    for index, tile in enumerate(tiles):
        page.paste(tile, (index % columns * width, index // columns * height))
    return page
