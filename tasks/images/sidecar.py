"""Captions beside their image: name.txt holds the words, name.json an object that holds them, as webdataset packs it.

>>> captions("pack.tar/00012.json", b'{"caption": "a [V] star", "width": 640}', settings)  # ("a [V] star",)
"""

from tasks.images import description
from tasks.images.caption_text import all_written, written
from tasks.images.picture import Unusable
from tasks.sections import Ingest

SUFFIXES = (".txt", ".json")


def is_sidecar(name: str) -> bool:
    """Tell a sidecar by its name."""
    return name.lower().endswith(SUFFIXES)


def captions(name: str, data: bytes, settings: Ingest) -> tuple[str, ...]:
    """Read the captions, a line of text each, none where it says nothing; raises Unusable."""
    most = settings.max_caption_characters
    if not name.lower().endswith(".json"):
        lines = data.splitlines() if settings.txt_lines == "captions" else [data]
        return tuple(dict.fromkeys(filter(None, (written(line, most) for line in lines))))
    try:
        return all_written(description.captions(description.parsed(data.decode("utf-8-sig"))), most)
    except UnicodeDecodeError as error:
        raise Unusable("it is not UTF-8", "save it as UTF-8") from error
