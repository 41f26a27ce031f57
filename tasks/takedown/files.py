"""The picture among files: in folders of people, what stages made, and what is kept for single images.

>>> list(among_people("source", Path("photos"), wanted))
"""

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from tasks.folders import md5_of_file, sha256_of_bytes, sha256_of_file
from tasks.images.picture import Unusable
from tasks.images.source import ARCHIVES, files_of, paths
from tasks.stores.store import OF_WORDS, opened
from tasks.takedown.trace import GRID, Trace
from tasks.takedown.wanted import Wanted

CAPTION_SUFFIX = ".txt"
_MOST_BYTES = 1 << 31


def among_people(place: str, folder: Path, wanted: Wanted) -> Iterator[Trace]:
    """Look into every file below a folder, hidden ones and archives, too, or into the archive that stands in for one.

    A caption beside the picture goes with it.
    """
    above, found = (folder.parent, iter([folder])) if folder.is_file() else (folder, paths(folder))
    for path in sorted(found):
        for file in files_of(path, above, _MOST_BYTES):
            try:
                data = b"" if file.name.lower().endswith(CAPTION_SUFFIX) else file.read()
            except Unusable:  # a link to nothing, a broken archive: no picture that anything here could read
                continue
            if not wanted.is_it(data) and not wanted.is_named_in(path.name):
                continue
            if path.name.lower().endswith(ARCHIVES):
                name = f"{above / file.name}: pack the archive again without it"
                yield Trace(place, name, sha256_of_bytes(data), path=path)
            else:
                yield from _caption(place, path)
                yield _file(place, path)


def among_outputs(place: str, folder: Path, wanted: Wanted, others: Collection[str] = ()) -> Iterator[Trace]:
    """Look through what stages wrote: files by their names, what was set aside by its looks, grids that may show it.

    Grids among `others` do not, by DVC's digests of them.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    told = {_top(path, folder) for path in files if path.suffix == ".jsonl" and wanted.is_named_in(_text(path))}
    for path in files:
        shows = (
            path.name == GRID and bool(told & {_top(path, folder), "embeddings"}) and md5_of_file(path) not in others
        )
        is_aside = path.parent.name == "quarantine" and wanted.is_it(path.read_bytes())
        if shows or is_aside or wanted.is_named_in(path.name):
            yield _file(place, path)


def among_entries(runs: Path, wanted: Wanted) -> Iterator[Trace]:
    """Look through the stores of single images; an entry that does not say which picture it is of goes, too."""
    for folder in sorted((runs / "store").glob("*")):
        if folder.name not in OF_WORDS:
            yield from (_file("stores", path) for path in opened(runs, folder.name).entries_of(wanted.ids))


def _caption(place: str, path: Path) -> Iterator[Trace]:
    caption = path.with_suffix(CAPTION_SUFFIX)
    if caption.is_file():
        yield _file(place, caption)


def _file(place: str, path: Path) -> Trace:
    return Trace(place, str(path), sha256_of_file(path), partial(path.unlink, missing_ok=True), path)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _top(path: Path, folder: Path) -> str:
    return path.relative_to(folder).parts[0]
