"""The files of a source and of the archives in it, one by one, under the names their owner sees.

    for file in files(Path("samples/comet"), max_bytes=64 << 20):
        print(file.name, len(file.read()))

Archives are read, never unpacked: nothing is written under a name that an archive chose. A shard of webdataset is a
tar, a parquet shard an archive of its rows. What can't be read is told when `read` is called, by
tasks.images.picture.Unusable.
"""

import io
import lzma
import os
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO

from tasks.images.picture import Unusable

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".parquet")
Opened = Callable[[], IO[bytes] | None]
_LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini", "__macosx")
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, KeyError,
    UnicodeDecodeError,
)  # fmt: skip


@dataclass(frozen=True)
class SourceFile:
    """One file: its name below the folder ("dogs/rex.png", "pack.zip/rex.png") and how to get its bytes."""

    name: str
    read: Callable[[], bytes]

    @property
    def is_skipped(self) -> bool:
        """Tell files nobody means to train on: hidden ones and what operating systems leave behind."""
        parts = self.name.split("/")
        return any(part.startswith(".") or part.lower() in _LEFT_BY_SYSTEMS for part in parts)


def stem(name: str) -> str:
    """Give what a picture and its caption share: the name, no last suffix, composed, as macOS decomposes letters."""
    begin, dot = name.rfind("/") + 1, name.rfind(".")
    return unicodedata.normalize("NFC", name[:dot] if begin < dot < len(name) - 1 else name)


def files(source: Path, max_bytes: int) -> Iterator[SourceFile]:
    """List every file below `source`, by name, or the members of the archive that it is.

    A member is readable until the next file is asked for.
    """
    folder, found = (source, paths(source)) if source.is_dir() else (source.parent, iter([source]))
    for path in sorted(found, key=lambda path: path.relative_to(folder).as_posix()):
        yield from files_of(path, folder, max_bytes)


def files_of(path: Path, folder: Path, max_bytes: int) -> Iterator[SourceFile]:
    """List what one path of the folder holds: itself, or the members of an archive."""
    file = SourceFile(_shown(path.relative_to(folder).as_posix()), partial(_bytes_of, path, max_bytes))
    if file.is_skipped or not is_archive(path.name) or not path.is_file():
        yield file
        return
    try:
        yield from _members(path, file.name, max_bytes)
    except Unusable as refusal:
        yield SourceFile(file.name, partial(_refuse, refusal.reason, refusal.mend))
    except _BROKEN as error:
        yield SourceFile(file.name, partial(_refuse, f"the archive is broken: {error}", "pack it again"))


def is_archive(name: str) -> bool:
    """Tell by its name what is looked into."""
    return name.lower().endswith(ARCHIVES)


def paths(folder: Path) -> Iterator[Path]:
    """Walk without following linked folders, which could lead in circles: a linked folder is listed as if a file."""
    for parent, folders, names in os.walk(folder, onerror=_raise):
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        yield from (Path(parent) / name for name in names + linked)


def _raise(error: OSError) -> None:
    raise error


def _shown(name: str) -> str:
    """Spell a name that is not UTF-8 with backslashes, so that it can be printed and stored."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _refuse(reason: str, mend: str) -> bytes:
    raise Unusable(reason, mend)


def _too_large(max_bytes: int) -> Unusable:
    limit = f"ingest.max_megabytes ({max_bytes / 1e6:g})"
    return Unusable(f"it is larger than {limit}", "make it smaller, or raise the limit in params.yaml")


def _bytes_of(path: Path, max_bytes: int) -> bytes:
    """Read an ordinary file; a pipe or a device would never end."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("it is a folder behind a link, a pipe or a device", "put the files themselves here")
        if status.st_size > max_bytes:
            raise _too_large(max_bytes)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Unusable("it is a link to a file that is not there", "put the file itself here") from error
    except OSError as error:
        raise Unusable(f"it cannot be read: {error.strerror}", "check its permissions and the disk") from error


def _members(path: Path, name: str, max_bytes: int) -> Iterator[SourceFile]:
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as pack:
            zipped: list[tuple[str, Opened]] = [
                (entry.filename, partial(pack.open, entry)) for entry in pack.infolist() if not entry.is_dir()
            ]
            yield from _entries(zipped, name, max_bytes)
    elif path.name.lower().endswith(".parquet"):
        with import_module("tasks.images.parquet").opened(path) as rows:  # a plan starts sooner without
            yield from _entries(rows, name, max_bytes)
    else:
        with tarfile.open(path) as tape:
            taped: list[tuple[str, Opened]] = [
                (entry.name, partial(tape.extractfile, entry)) for entry in tape if not entry.isdir()
            ]
            yield from _entries(taped, name, max_bytes)


def _entries(found: Sequence[tuple[str, Opened]], pack: str, max_bytes: int) -> Iterator[SourceFile]:
    for entry, opened in sorted(found, key=lambda pair: pair[0]):
        parts = [part for part in entry.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        yield SourceFile(_shown("/".join([pack, *parts])), partial(_bytes_in, opened, entry, max_bytes))


def _bytes_in(opened: Opened, entry: str, max_bytes: int) -> bytes:
    """Read one member, at most `max_bytes` of it, whatever size its header claims."""
    if is_archive(entry):
        raise Unusable("it is an archive within an archive", "put it into the folder by itself")
    try:
        with opened() or io.BytesIO() as file:  # a device in a tar has no bytes
            data = file.read(max_bytes + 1)
    except _BROKEN as error:
        raise Unusable(f"it cannot be read from its archive: {error}", "pack the archive again, unlocked") from error
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data
