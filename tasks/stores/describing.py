"""Let the vision-language model say what is in a picture; the keys of captions name this code and all it reaches.

>>> next(described(lambda: captioner, "Describe this image.", [(row, picture)]))  # b"a red star on blue"
"""

from collections.abc import Callable, Iterator, Sequence

from PIL.Image import Image

from dopsd.captioner import Captioner
from tasks.images.rows import ImageRow

Seen = tuple[ImageRow, Image]


def described(captioner: Callable[[], Captioner], instruction: str, rows: Sequence[Seen]) -> Iterator[bytes]:
    """Yield what the model says of each picture; raises ValueError naming one it says nothing of."""
    texts = captioner().captions([picture for _, picture in rows], instruction)
    for (image, _), text in zip(rows, texts, strict=True):
        if not text.strip():
            raise ValueError(f"the captioner has no word for {image.source}: write a caption into a .txt beside it")
        yield " ".join(text.split()).encode()
