"""Captions in a table beside their images: metadata.jsonl or metadata.csv of Hugging Face's imagefolder, or any .jsonl.

    {"file_name": "rex.png", "text": "a [V] dog on a lawn"}

What a line may say stands in tasks.images.description; other columns stay unread.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks.images import description
from tasks.images.caption_text import all_written
from tasks.images.description import Row
from tasks.images.picture import Unusable


@dataclass(frozen=True)
class Line:
    """A line of a table, not yet understood; `name` says where it stands in `source` ("dogs/metadata.jsonl:3")."""

    name: str
    content: str | Row
    source: Path

    def captions(self, max_characters: int) -> tuple[str, tuple[str, ...]]:
        """Give the image's name, from the source folder, and its captions; raises Unusable saying what is wrong."""
        row = description.parsed(self.content) if isinstance(self.content, str) else self.content
        folder = PurePosixPath(self.name).parent
        image = description.image(row, PurePosixPath(self.source.absolute().as_posix()) / folder)
        texts = description.captions(row)
        if not texts:
            raise Unusable('it has no caption: neither "text" nor "caption" is a text', "add one, or delete the line")
        return str(folder / image), all_written(texts, max_characters)


def is_table(name: str) -> bool:
    """Tell a table by its name."""
    name = name.rpartition("/")[2].lower()
    return name == "metadata.csv" or name.endswith(".jsonl")


def lines(name: str, data: bytes, source: Path) -> list[Line]:
    """Take a table of the folder `source` apart; raises Unusable where it is none, or has no column for file names."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unusable("it is not UTF-8", "save the table as UTF-8") from error
    if name.lower().endswith(".csv"):
        table = csv.DictReader(io.StringIO(text, newline=""))
        if "file_name" not in (table.fieldnames or ()):
            raise Unusable("its first line names no column file_name", "name the columns: file_name,text")
        return [Line(f"{name}:{table.line_num}", row, source) for row in table]
    return [Line(f"{name}:{number}", line, source) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
