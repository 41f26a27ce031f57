"""The picture in git's history, which a takedown tells of and does not rewrite.

>>> paths_of(Path(), blobs(Path(), [Path("photos/2.png")], wanted))  # ["mine/2.png", "photos/2.png"]
"""

from collections.abc import Iterable
from pathlib import Path

from tasks.git import said, said_if_it_can
from tasks.images.source import is_archive
from tasks.takedown.wanted import Wanted


def blobs(root: Path, files: Iterable[Path], wanted: Wanted) -> list[str]:
    """Give git's names of the bytes of files that are the picture or a copy, or an archive with it; none without git.

    A name is a digest: it tells the bytes again once the files are gone.
    """
    held = {path.resolve() for path in files if is_archive(path.name) or wanted.is_it(path.read_bytes())}
    given = "".join(f"{path}\n" for path in sorted(held))
    named = said_if_it_can(root, "hash-object", "--no-filters", "--stdin-paths", given=given) if held else None
    return sorted(set((named or "").splitlines()))


def paths_of(root: Path, names: Iterable[str]) -> list[str]:
    """List the paths, from the top of the repository, at which some branch or tag has or had any of these bytes.

    The history is walked only where git has such bytes at all.
    """
    asked = "".join(f"{name}\n" for name in names)
    known = said_if_it_can(root, "cat-file", "--batch-check=%(objectname) %(objecttype)", given=asked) or ""
    there = [line.split(" ")[0] for line in known.splitlines() if line.endswith(" blob")]
    if not there:
        return []
    seek = [f"--find-object={name}" for name in there]
    found = said(root, "log", "--all", "-m", "--root", "--no-renames", "--name-only", "--format=", "-z", *seek)
    return sorted(set(found.split("\0")) - {""})
