"""Whether a file that arrived can be trained on, by the rules that ingest goes by, and by one that it needs no longer.

for event in validated(Path("inbox/new/pack.zip"), "new/pack.zip", params.ingest, BlockList(), now): ...
"""

import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from tasks.images.blocked import BlockList
from tasks.images.picture import Limits, Unusable, decoded
from tasks.images.sidecar import is_sidecar
from tasks.images.source import SourceFile, files_of
from tasks.sections import Ingest
from tasks.triggers.events import Arrived, Event, Refused

_TAR_END = bytes(1024)


def validated(path: Path, name: str, settings: Ingest, blocked: BlockList, now: datetime) -> Iterator[Event]:
    """Tell of every image in a file, or why there is none; captions and hidden files go without a word."""
    if _is_cut(path):
        yield Refused(at=now, file=name, reason="the archive has no end: its upload stopped, or goes on")
        return
    for found in files_of(path, path.parent, int(settings.max_megabytes * 1e6)):
        file = replace(found, name=str(PurePosixPath(name).parent / found.name))
        if not file.is_skipped and not is_sidecar(file.name):
            yield _judged(file, name, settings, blocked, now)


def _judged(file: SourceFile, holder: str, settings: Ingest, blocked: BlockList, now: datetime) -> Event:
    try:
        data = file.read()
        blocked.check(data)
        picture = decoded(data, Limits(settings.max_megapixels, settings.min_side_px))
        blocked.check_looks(picture)
    except Unusable as refusal:
        return Refused(at=now, file=file.name, reason=f"{refusal.reason}; {refusal.mend}")
    return Arrived(at=now, image=picture.id, file=holder)


def _is_cut(path: Path) -> bool:
    """Tell a tar that ends between two members, which reads like a whole one but for the blocks of zeros at its end."""
    if not path.name.lower().endswith(".tar"):
        return False
    try:
        with tarfile.open(path, "r:") as tape:
            tape.getmembers()
            end = tape.offset
    except (tarfile.TarError, OSError, EOFError):
        return False  # broken otherwise, which reading it will tell
    with path.open("rb") as file:
        file.seek(end)
        return not file.read(1024).startswith(_TAR_END)
