"""One thing that holds the picture, or shows it: where it is, its digest, and how it is removed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

GRID = "grid.png"
"""The picture of pictures that a stage draws for people."""


@dataclass(frozen=True)
class Trace:
    """A file, an object or an artifact; `digest` is DVC's md5 in its stores and sha256 elsewhere.

    What cannot be removed by a program has no `remove`; its name says what a person has to do. `path` is the file that
    holds it on this machine.
    """

    place: str
    name: str
    digest: str
    remove: Callable[[], object] | None = field(default=None, repr=False, compare=False)
    path: Path | None = field(default=None, repr=False, compare=False)

    def row(self) -> dict[str, str]:
        """Spell it out for the receipt."""
        return {"place": self.place, "name": self.name, "digest": self.digest}
