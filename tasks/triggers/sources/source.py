"""What a trigger needs of a place that others put images into: which files are there, and each of them to read.

for name, mark in source.marks().items():
    with source.lent(name, mark) as path: path.read_bytes()

A mark is any text that is another once the file is another. So whoever watches a place keeps names and marks, and
nothing of how the place is reached.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Unreachable(OSError):
    """Somebody who is needed does not answer; all that is noted stays noted, and the next turn tries again."""


class Changed(Exception):
    """A file went or became another since it got its mark; the next look says what it is now."""


class Source(Protocol):
    """A place that others put images into; nothing of ours writes there."""

    def marks(self) -> Mapping[str, str]:
        """Give the mark of every file by its name below the place; raises FileNotFoundError, Unreachable."""
        ...

    def lent(self, name: str, mark: str) -> AbstractContextManager[Path]:
        """Lend a file to read; the last part of its name is the path's own.

        Raises Changed where it has not that mark before and after, Unusable where it can be no file, Unreachable.
        """
        ...
