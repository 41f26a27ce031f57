"""What counts as a caption.

>>> written(b"a [V] star", max_characters=1000)  # "a [V] star"
>>> all_written(["a [V] star", "[V] at night"], max_characters=1000)  # ("a [V] star", "[V] at night")
>>> with_placeholder("a red star", "[V]")  # "[V], a red star"
"""

import unicodedata
from collections.abc import Iterable

from tasks.images.picture import Unusable


def written(data: bytes, max_characters: int) -> str:
    """Read the bytes of a caption file as one line of text, "" where it says nothing; raises Unusable."""
    try:
        text = data.decode("utf-8-sig")  # Windows editors put a mark in front
    except UnicodeDecodeError as error:
        reason = f"it is not UTF-8: byte 0x{data[error.start]:02x} at position {error.start}"
        raise Unusable(reason, "save the text as UTF-8") from error
    caption = " ".join(text.split())
    if len(caption) > max_characters:
        reason = f"{len(caption)} characters are more than ingest.max_caption_characters ({max_characters})"
        raise Unusable(reason, "shorten it, or raise the limit in params.yaml")
    if any(unicodedata.category(letter) == "Cc" for letter in caption):
        raise Unusable("it holds control characters, so it is no text", "save the text as plain UTF-8")
    return caption


def all_written(texts: Iterable[str], max_characters: int) -> tuple[str, ...]:
    """Clean every caption of one image, leaving out what says nothing or was said; raises Unusable."""
    found = (written(text.encode("utf-8", "surrogatepass"), max_characters) for text in texts)
    return tuple(dict.fromkeys(filter(None, found)))


def with_placeholder(caption: str, placeholder: str) -> str:
    """Put the concept's placeholder in front of a caption that leaves it out."""
    return caption if placeholder in caption else f"{placeholder}, {caption}"
