"""What a run will learn beside what it knows: files copied out of their source, byte for byte as they were validated.

    stage(inbox, images, folder / "batches" / "new-images-0007")        the watcher, when a run is due
    admit(folder / "batches", source / "new-images")                    before the run is asked for

Between the two the run is noted; so whatever was noted as taken is what the dataset holds, byte for byte.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tasks.folders import staged_folder, staged_name, write_bytes
from tasks.images.picture import Unusable
from tasks.images.sidecar import SUFFIXES
from tasks.images.source import paths
from tasks.triggers.events import Arrived
from tasks.triggers.inbox import Inbox
from tasks.triggers.sources.source import Changed


def stage(inbox: Inbox, images: Iterable[Arrived], batch: Path) -> frozenset[str] | None:
    """Copy the files of `images` and the captions that are new; gives their names, None where one changed meanwhile."""
    names = frozenset(image.file for image in images) | inbox.new_captions()
    names |= {caption for name in names for caption in _captions(name) if caption in inbox.looked}
    with staged_folder(batch) as folder:
        is_whole = all(_copied(inbox, name, folder) for name in sorted(names))
    if is_whole:
        return names
    shutil.rmtree(batch)
    return None


def admit(batches: Path, source: Path) -> int:
    """Move the batches into the folder that ingest reads, oldest first; gives the number of files. Repeating is safe.

    A file of the same name from an earlier batch is replaced, as it was in the inbox.
    """
    count = 0
    for batch in sorted(batches.glob("[!.]*")):
        for path in sorted(paths(batch)):
            write_bytes(source / path.relative_to(batch), path.read_bytes())
            count += 1
        gone = staged_name(batch)
        batch.rename(gone)
        shutil.rmtree(gone)
    return count


def _captions(name: str) -> list[str]:
    return [str(PurePosixPath(name).with_suffix(suffix)) for suffix in SUFFIXES]


def _copied(inbox: Inbox, name: str, folder: Path) -> bool:
    """Copy one file; tells whether it still is what was looked into."""
    looked, target = inbox.looked.get(name), folder / name
    if looked is None:
        return False
    try:
        with inbox.source.lent(name, looked.mark) as path:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    except (Changed, FileNotFoundError):
        return False
    except Unusable:  # a caption that can be no file; its image was refused for the same
        return True
    return True
