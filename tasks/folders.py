"""Files and folders that are whole or not there at all, and the rows, manifests and digests in them.

Everything is written beside its place and moved in by one rename, so a kill or a full disk leaves what was there.
Text is deterministic: sorted keys, UTF-8, one newline at the end; no times, no machine names.

    python -m pytest tests/tasks/test_folders.py
"""

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

Row = dict[str, Any]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CHUNK = 1 << 20


def staged_name(path: Path) -> Path:
    """Name a hidden sibling of `path` that no other process uses."""
    return path.with_name(f".staged-{uuid.uuid4().hex[:16]}")


def write_bytes(path: Path, data: bytes, *, is_durable: bool = True) -> None:
    """Write `data` so that `path` holds either all of it or what it held before.

    `is_durable=False` leaves out the wait for the disk: for entries that are verified when read.
    Raises OSError naming `path` where the disk is full; the old file is still whole then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = staged_name(path)
    try:
        with staged.open("wb") as file:
            file.write(data)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        staged.replace(path)
    except OSError as error:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
        if error.errno not in _FULL:
            raise
        message = f"no space left to write {path}; what was there is untouched. Free some space and run again"
        raise OSError(error.errno, message) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write one JSON value, readable and the same bytes for equal values; NaN is refused."""
    write_text(path, json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON value; a file that is not JSON is named."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it and run the stage that writes it again") from error


def read_yaml(path: Path) -> Any:
    """Read YAML by libyaml, which is ten times as fast as Python's own reader; raises yaml.YAMLError."""
    return yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], *, key: str = "id") -> None:
    """Write `rows` as JSON Lines, sorted by `key`."""
    ordered = sorted(rows, key=lambda row: row[key])
    write_text(path, "".join(_line(row) for row in ordered))


def read_rows(path: Path) -> list[Row]:
    """Read JSON Lines; a line that is no JSON object is named by its number."""
    rows = []
    lines = path.read_text(encoding="utf-8").split("\n")  # splitlines() would also split at U+2028 inside a caption
    for number, line in enumerate(filter(None, lines), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}; run the stage that writes it again") from error
    return rows


def write_manifest(folder: Path, stage: str, params: Mapping[str, Any], counts: Mapping[str, int]) -> None:
    """Say in `folder` which stage made it, with which params, and how many of what it holds."""
    write_json(folder / "manifest.json", {"schema": 1, "stage": stage, "params": params, "counts": counts})


def sha256_of_bytes(data: bytes) -> str:
    """Digest bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def md5_of_file(path: Path) -> str:
    """Digest a file's bytes as DVC and object stores name them, 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Digest a file's bytes without holding them all in memory, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_folder(folder: Path) -> str:
    """Digest the names and bytes of all files under `folder`; their order, times and modes do not count."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{sha256_of_file(path)}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def sha256_of_json(value: object) -> str:
    """Digest a JSON value by its sorted, compact text: equal values, equal digests."""
    return sha256_of_bytes(_line(value).encode())


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Lend an empty folder that takes the place of `target` when the block ends well, and vanishes when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staged, old = staged_name(target), staged_name(target)
    staged.mkdir()
    try:
        yield staged
        if target.exists():
            target.rename(old)
        staged.rename(target)
    except BaseException:  # an interrupt too must leave the old folder in its place
        shutil.rmtree(staged, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"
