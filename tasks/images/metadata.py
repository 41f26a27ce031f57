"""Captions in a table beside their images, as Hugging Face's imagefolder keeps them: metadata.jsonl or metadata.csv.

    {"file_name": "rex.png", "text": "a [V] dog on a lawn"}

`file_name` is a path from the table's own folder; the caption is `text`, or else `caption`; other columns stay unread.
"""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from tasks.images.caption_text import written
from tasks.images.picture import Unusable

FILES = ("metadata.jsonl", "metadata.csv")
_CAPTIONS = ("text", "caption")


@dataclass(frozen=True)
class Line:
    """A line of a table, not yet understood; `name` says where it stands ("dogs/metadata.jsonl:3")."""

    name: str
    content: str | Mapping[str, Any]

    def caption(self, max_characters: int) -> tuple[str, str]:
        """Give the image's name, from the source folder, and its caption; raises Unusable saying what is wrong."""
        row = _parsed(self.content)
        image = row.get("file_name")
        if not isinstance(image, str) or not image:
            raise Unusable("it names no image", 'say which in "file_name"')
        text = next((row[key] for key in _CAPTIONS if key in row), None)
        if not isinstance(text, str):
            raise Unusable('it has no caption: neither "text" nor "caption" is a text', "add one, or delete the line")
        beside = PurePosixPath(self.name).parent / image.replace("\\", "/")
        return str(beside), written(text.encode("utf-8", "surrogatepass"), max_characters)


def is_table(name: str) -> bool:
    """Tell a table by its name."""
    return name.rpartition("/")[2].lower() in FILES


def lines(name: str, data: bytes) -> list[Line]:
    """Take a table apart; raises Unusable where it is none, or has no column for file names."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unusable("it is not UTF-8", "save the table as UTF-8") from error
    if name.lower().endswith(".csv"):
        table = csv.DictReader(io.StringIO(text, newline=""))
        if "file_name" not in (table.fieldnames or ()):
            raise Unusable("its first line names no column file_name", "name the columns: file_name,text")
        return [Line(f"{name}:{table.line_num}", row) for row in table]
    return [Line(f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _parsed(content: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(content, str):
        return content
    try:
        row = json.loads(content)
    except json.JSONDecodeError as error:
        raise Unusable(f"it is not JSON: {error}", "write one object a line") from error
    if not isinstance(row, dict):
        raise Unusable("it is no JSON object", "write one object a line")
    return row
