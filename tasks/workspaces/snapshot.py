"""A folder as it is now, in another place, without copying a byte: folders anew, files as links.

snapshot(Path("photos"), Path("runs/workspaces/1/tree/photos"))

What comes into the folder or goes out of it later is not seen there.
"""

import os
from pathlib import Path


def snapshot(source: Path, place: Path) -> None:
    """Lay out at `place` the file or folder `source`; links to folders stay links, as no stage follows them."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        _link(source, place)
        return
    for folder, folders, names in os.walk(source):
        here = place / Path(folder).relative_to(source)
        here.mkdir(exist_ok=True)
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*names, *linked):
            _link(Path(folder) / name, here / name)


def _link(source: Path, place: Path) -> None:
    """Link hard where that can be; a folder, another disk and a file of somebody else take a soft one."""
    target = Path(os.path.realpath(source))
    try:
        place.hardlink_to(target)
    except OSError:
        place.symlink_to(target)
