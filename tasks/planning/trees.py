"""What a folder held when a stage last read it, so that the plan can say what came and went; DVC keeps its digest only.

keep(dep, root, has_changed=True); said(dep, root)          # "+3 images -1"
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dvc.output import Output
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree

from tasks.folders import read_json, write_json
from tasks.images.sidecar import is_sidecar

TREES = Path("runs/trees")
Files = Mapping[str, str]


def keep(dep: Output, root: Path, *, has_changed: bool) -> None:
    """Write down what the folder holds now, under DVC's digest of it; digests of files are DVC's, and ready.

    `has_changed` is since DVC recorded it: what did not change and was kept is not listed again.
    """
    if not has_changed and _path(str(dep.hash_info.value), root).is_file():
        return
    found = listed(dep)
    path = _path(str(found.hash_info.value), root)
    if found.files and not path.is_file():
        write_json(path, found.files)


def said(dep: Output, root: Path) -> str | None:
    """Say how the folder differs from what was last read of it; None where that was not kept, or it is a file."""
    old = _path(str(dep.hash_info.value), root)
    found = listed(dep)
    if not found.files or not old.is_file():
        return None
    return difference(read_json(old), found.files)


def difference(old: Files, new: Files) -> str:
    """Count what came, went and changed: "+3 images -1 ~2, ~1 captions"."""
    signs = {"+": new.keys() - old.keys(), "-": old.keys() - new.keys()}
    signs["~"] = {name for name in new.keys() & old.keys() if new[name] != old[name]}
    kinds: dict[str, Counter[str]] = {}
    for sign, names in signs.items():
        for name in names:
            kinds.setdefault("captions" if is_sidecar(name) else "images", Counter())[sign] += 1
    return ", ".join(_counted(kind, counts) for kind, counts in sorted(kinds.items(), reverse=True))


def _counted(kind: str, counts: Counter[str]) -> str:
    """Name the kind after the first count: "+3 images -1"."""
    first, *rest = [f"{sign}{counts[sign]}" for sign in "+-~" if counts[sign]]
    return " ".join([first, kind, *rest])


@dataclass(frozen=True)
class Listing:
    """What an input is now: DVC's digest and sizes, and the digests of its files by name; none for a single file."""

    hash_info: HashInfo
    meta: Meta
    files: Files


def state(dep: Output) -> str | None:
    """Say how an input differs from what was recorded of it, in the words of DVC's `status`; None where it does not."""
    if not dep.exists:
        return "deleted"
    return "modified" if listed(dep).hash_info != dep.hash_info else None


@lru_cache(maxsize=64)  # one plan asks more than once, and of its own objects alone
def listed(dep: Output) -> Listing:
    """List an input as it is now."""
    _, meta, found = dep._build(  # DVC has no public way, and its version is pinned
        dep.local_cache, dep.fs_path, dep.fs, dep.hash_name, ignore=dep.dvcignore, dry_run=True, no_progress_bar=True
    )
    files = {"/".join(key): str(info.value) for key, _, info in found} if isinstance(found, Tree) else {}
    return Listing(found.hash_info, meta, files)


def kept(digest: str, root: Path) -> Files | None:
    """Give the files of a folder whose digest was this; None where that was not kept."""
    path = _path(digest, root)
    return read_json(path) if path.is_file() else None


def _path(digest: str, root: Path) -> Path:
    return root / TREES / f"{digest}.json"
