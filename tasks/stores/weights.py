"""Which weights a folder holds; gigabytes are digested once, and again when a file of them changed.

>>> revision(Path("models/Z-Image-Turbo"), Path("runs"))  # 12 hex digits, as dopsd.revision gives them
"""

from pathlib import Path

from dopsd.revision import decisive, of_folder
from tasks.folders import read_json, sha256_of_bytes, write_json


def revision(folder: Path, runs: Path) -> str:
    """Digest `folder`, or remember that; a file counts as unchanged by its size, time and inode, as for DVC and git."""
    memory = runs / "revisions" / f"{sha256_of_bytes(str(folder.resolve()).encode())[:16]}.json"
    files = {str(path.relative_to(folder)): _state(path) for path in decisive(folder)}
    if memory.is_file() and (said := read_json(memory))["files"] == files:
        return str(said["revision"])
    found = of_folder(folder)
    write_json(memory, {"files": files, "revision": found})
    return found


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]
