"""Tensors in a safetensors file: written whole or not at all, equal content as equal bytes, damage told when read.

>>> write({"x": torch.zeros(3)}, Path("x.safetensors"), {"step": "3"})
>>> tensors, notes = read(Path("x.safetensors"), mend="delete it")
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

_LENGTH_BYTES = 8


def write(tensors: Mapping[str, Tensor], path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write `tensors` and `notes` to a staged file beside `path`, and put it in its place once it lies on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}.{os.getpid()}.staged")
    try:
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, staged, dict(notes or {}))
        settle_(staged)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def read(path: Path, *, mend: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and notes. Raises ValueError with the file's name and `mend` where the file is damaged."""
    notes = read_notes(path, mend=mend)
    return load_file(path), notes


def read_notes(path: Path, *, mend: str) -> dict[str, str]:
    """Read the notes alone; raises ValueError as `read` does."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): {mend}") from error


def settle_(path: Path) -> None:
    """Sort the notes of a safetensors file, which the library writes in random order, and push it to the disk."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        assert len(text) == length, f"the header of {path} changed its length"
        file.seek(_LENGTH_BYTES)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
