"""What a JSON object says of an image, in the words of those who write such: which file it is, and its captions.

    {"file_name": "rex.png", "text": "a [V] dog on a lawn"}                                      Hugging Face
    {"local_path_list": ["dogs/photos/rex.png"], "h*w": "832*1264", "detailed_en": "a [V] ..."}  the authors of D-OPSD

Hugging Face's tables name a file from their own folder. Those of the authors (arXiv:2605.05204, their released code)
name it from where training is started, and may hold eight captions: four lengths in English and in Chinese.
"""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tasks.images.picture import Unusable

Row = Mapping[str, Any]
_LENGTHS = ("detailed", "medium", "short", "user_prompt")
_OF_THE_AUTHORS = tuple(f"{length}_{language}" for language in ("en", "zh") for length in _LENGTHS)
CAPTIONS = ("text", "caption", *_OF_THE_AUTHORS)
"""Where captions may stand."""
_PATHS = (
    "local_path_list", "local_paths", "image_path_list", "image_paths", "image_path", "path", "oss_path_list",
)  # fmt: skip


def parsed(text: str) -> Row:
    """Read one JSON object; raises Unusable."""
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise Unusable(f"it is not JSON: {error}", "write one object a line") from error
    if not isinstance(row, dict):
        raise Unusable("it is no JSON object", "write one object a line")
    return row


def image(row: Row, folder: PurePosixPath) -> str:
    """Give the image's path from `folder`, the whole path of where the row was found; raises Unusable."""
    name = row["file_name"] if "file_name" in row else _of_the_authors(row, folder)
    if not isinstance(name, str) or not name:
        raise Unusable("it names no image", 'say which in "file_name"')
    return name.replace("\\", "/")


def captions(row: Row) -> list[str]:
    """Give the captions: those in `text`, or else in `caption` (one, or a list), or else all of the authors' keys."""
    for keys in (("text",), ("caption",), _OF_THE_AUTHORS):
        said = [part for key in keys for part in _listed(row.get(key)) if isinstance(part, str) and part.strip()]
        if said:
            return said
    return []


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _of_the_authors(row: Row, folder: PurePosixPath) -> object:
    found = next((row[key] for key in _PATHS if key in row), None)
    names = _listed(found)
    if len(names) > 1:
        raise Unusable(f"it names {len(names)} images, as for editing", "name the one that is to be learnt")
    return next((_within(name, folder) for name in names if isinstance(name, str)), None)


def _within(path: str, folder: PurePosixPath) -> str:
    """Leave out what a path says of the way to `folder`; raises Unusable for one that leads elsewhere."""
    parts, way = PurePosixPath(path).parts, folder.parts
    for length in range(min(len(parts) - 1, len(way)), 0, -1):
        if parts[:length] == way[-length:]:
            return "/".join(parts[length:])
    if PurePosixPath(path).is_absolute():
        raise Unusable(f"its image {path} lies elsewhere, where no change would be seen", "put it beside the table")
    return path
