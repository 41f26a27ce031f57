"""What a line of images.jsonl, quarantine.jsonl and captions.jsonl says.

>>> rows = read(Path("data/images/images.jsonl"), ImageRow)
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal, TypeVar

from tasks.folders import Row, read_rows, write_rows


@dataclass(frozen=True)
class ImageRow:
    """One picture of the dataset; `id` names its pixels, `source` is the file's name as its owner sees it.

    `others` are captions, too, where people wrote several.
    """

    id: str
    file: str
    source: str
    source_sha256: str
    width: int
    height: int
    format: str
    phash: str
    notes: tuple[str, ...]
    caption: str | None
    others: tuple[str, ...] = ()

    @property
    def captions(self) -> tuple[str, ...]:
        """Give all captions."""
        return (self.caption, *self.others) if self.caption else ()

    def worded(self, captions: Sequence[str]) -> "ImageRow":
        """Give it these captions."""
        return replace(self, caption=next(iter(captions), None), others=tuple(captions[1:]))


@dataclass(frozen=True)
class QuarantineRow:
    """One file that was left out, why, and what its owner can do; `file` holds its bytes where they could be read."""

    source: str
    reason: str
    mend: str
    file: str | None


@dataclass(frozen=True)
class CaptionRow:
    """One caption and who wrote it, a person's with the `others` for the same image; `model` is None for a person."""

    id: str
    caption: str
    source: Literal["human", "vlm"]
    model: str | None
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


_OPTIONAL = "others"
"""Left out where there are none, as it always was."""
AnyRow = TypeVar("AnyRow", ImageRow, QuarantineRow, CaptionRow)


def read(path: Path, kind: type[AnyRow]) -> list[AnyRow]:
    """Read rows of one kind; a missing or unknown key names the file."""
    known = {field.name for field in fields(kind)}
    rows = read_rows(path)
    for row in rows:
        if strange := (set(row) ^ known) - {_OPTIONAL}:
            raise ValueError(f"{path}: keys {sorted(strange)} missing or unknown; run the stage that writes it again")
    return [kind(**_frozen(row)) for row in rows]


def write(path: Path, rows: Iterable[AnyRow], *, key: str = "id") -> None:
    """Write rows as JSON Lines, sorted by `key`."""
    said = (asdict(row) for row in rows)
    write_rows(path, [{name: row[name] for name in row if name != _OPTIONAL or row[name]} for row in said], key=key)


def _frozen(row: Row) -> Row:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
