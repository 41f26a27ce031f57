"""A folder on this machine, or mounted there; looking asks for sizes and times alone, which every file system knows.

Folder(Path("inbox")).marks()
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tasks.images.source import paths
from tasks.triggers.sources.source import Changed


class Folder:
    """A folder that is looked through anew each time: nothing relies on being woken up."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._paths = folder, dict[str, Path]()

    def marks(self) -> Mapping[str, str]:
        """Mark files by size and time; raises FileNotFoundError."""
        if not self._folder.is_dir():
            raise FileNotFoundError(f"there is no folder {self._folder} to watch: make it, or name another")
        self._paths = {_named(path, self._folder): path for path in paths(self._folder)}
        return {name: mark for name, path in self._paths.items() if (mark := _mark(path)) is not None}

    @contextmanager
    def lent(self, name: str, mark: str) -> Iterator[Path]:
        """Lend the file where it lies; raises Changed also after it was read, as it may have been written meanwhile."""
        path = self._paths.get(name, self._folder / name)
        if _mark(path) != mark:
            raise Changed(name)
        yield path
        if _mark(path) != mark:
            raise Changed(name)


def _named(path: Path, folder: Path) -> str:
    """Name a file below the folder; what is not UTF-8 keeps its bytes behind backslashes."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")


def _mark(path: Path) -> str | None:
    """Ask for size and time; None where there is no such file."""
    try:
        status = path.stat()
    except OSError:  # deleted meanwhile, or a link to nothing
        return None
    return f"{status.st_size} {status.st_mtime_ns}"
