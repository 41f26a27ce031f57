"""One thing that may go: what it is, how large, and why nobody needs it.

>>> piece("checkpoint", Path("runs/train/0a1b2c"), "no training went on from it")
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tasks.folders import staged_name

Kind = Literal[
    "version", "weights", "run", "run cache", "object", "remote object", "parcel", "entry", "checkpoint", "parent",
    "panel", "worktree",
]  # fmt: skip
"""In the order in which they go: what refers to others before what it refers to."""


@dataclass(frozen=True)
class Piece:
    """Two pieces are the same one if kind and name are; `size` is in bytes.

    `name` is a path, for a version the project's name and its own: "dopsd v3", for what lies in a remote the name of
    that and a digest or a path.
    """

    kind: Kind
    name: str
    size: int = field(compare=False)
    why: str = field(compare=False)


def piece(kind: Kind, path: Path, why: str) -> Piece:
    """Describe a file or a folder."""
    return Piece(kind, str(path), sum(file.lstat().st_size for file in files(path)), why)


def files(path: Path) -> Iterator[Path]:
    """List the files of a folder; of a file, itself."""
    yield from (file for file in path.rglob("*") if not file.is_dir()) if path.is_dir() else [path]


def touched(path: Path) -> float:
    """Say when a file, or anything in a folder, was last written, linked or moved, in seconds of the epoch."""
    found = 0.0
    for file in (path, *files(path)):
        with suppress(FileNotFoundError):  # somebody works there
            found = max(found, file.lstat().st_ctime)
    return found


def vanish(path: Path) -> None:
    """Remove a file, or a folder as a whole: half of one is never found under its name."""
    if path.is_dir():
        hidden = path if path.name.startswith(".staged-") else staged_name(path)
        path.rename(hidden)
        shutil.rmtree(hidden)
    else:
        path.unlink(missing_ok=True)
