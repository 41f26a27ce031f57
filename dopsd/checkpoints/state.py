"""A state of a training on disk: a file; or, where weights are divided among processes, a folder with a part of each.

>>> keep(folder / "after-00000040", tensors, notes, is_divided=False)
>>> tensors, notes = read(folder / "after-00000040.safetensors", rows={})

A crash leaves a state whole or not there. Any number of processes can read what any other number wrote.
"""

import hashlib
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from dopsd import tensor_file
from dopsd.processes import ranks

MEND = "delete it to train from the start"
_SUFFIX = ".safetensors"
_ALL = range(sys.maxsize)


class Damaged(ValueError):
    """A state that cannot be read whole: cut short, or not what was written."""


def keep(place: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str], *, is_divided: bool) -> None:
    """Write a state to `place`, which has no suffix yet; all processes come here, and of equals the first writes.

    Of divided weights every process writes its rows into one staged folder, which is moved in when all have.
    """
    notes = {**notes, "world_size": str(ranks.world_size())}
    if not is_divided:
        if not ranks.rank():
            _write(tensors, place.with_suffix(_SUFFIX), notes)
            remove(place)  # a damaged one of as many iterations, of divided weights
        return
    staged = place.with_suffix(".staged")
    if not ranks.rank():
        remove(staged)
    ranks.wait()
    _write(tensors, staged / f"part-{ranks.rank():05d}{_SUFFIX}", notes)
    ranks.wait()
    if not ranks.rank():
        remove(place)
        staged.replace(place)
        remove(place.with_suffix(_SUFFIX))
    ranks.wait()


def read(place: Path, rows: Mapping[str, range]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a state's tensors, and its notes; of tensors that end in "/" and a key of `rows`, these rows alone.

    Raises Damaged, naming the file, where a part is missing, cut short or altered.
    """
    files = _parts(place)
    notes = read_notes(place)
    if place.is_dir() and len(files) != int(notes["world_size"]):
        raise Damaged(f"{place} has {len(files)} of its {notes['world_size']} parts: {MEND}")
    if rows and len(files) == ranks.world_size():
        return _verified(files[ranks.rank()]), notes  # divided as we are
    pieces: dict[str, list[Tensor]] = {}
    passed = Counter[str]()
    for file in files:
        for key, piece in _verified(file).items():
            wanted = rows.get(key.partition("/")[2], _ALL)
            if piece.ndim:
                first, end = (max(0, bound - passed[key]) for bound in (wanted.start, wanted.stop))
                pieces.setdefault(key, []).append(piece[first:end])
                passed[key] += len(piece)
            else:  # one number a weight, the same everywhere
                pieces[key] = [piece]
    return {key: torch.cat(found) if len(found) > 1 else found[0] for key, found in pieces.items()}, notes


def read_notes(place: Path) -> dict[str, str]:
    """Read the notes alone, from the first part; raises Damaged."""
    files = _parts(place)
    if not files:
        raise Damaged(f"{place} is empty: {MEND}")
    try:
        return {key: text for key, text in tensor_file.read_notes(files[0], mend=MEND).items() if key != "digest"}
    except ValueError as error:
        raise Damaged(str(error)) from error


def remove(place: Path) -> None:
    """Remove a state, or what a kill left of one."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _parts(place: Path) -> list[Path]:
    """List the files of a state in the order of the processes that wrote them."""
    return sorted(place.glob(f"*{_SUFFIX}")) if place.is_dir() else [place]


def _write(tensors: Mapping[str, Tensor], path: Path, notes: Mapping[str, str]) -> None:
    tensor_file.write(tensors, path, {**notes, "digest": _digest(tensors, notes)})


def _verified(path: Path) -> dict[str, Tensor]:
    try:
        tensors, notes = tensor_file.read(path, mend=MEND)
    except ValueError as error:
        raise Damaged(str(error)) from error
    if notes.pop("digest", None) != _digest(tensors, notes):
        raise Damaged(f"{path} is damaged (its digest differs): {MEND}")
    return tensors


def _digest(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(notes.items())).encode())
    for chunk in _bytes(tensors):
        digest.update(chunk)
    return digest.hexdigest()


def _bytes(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        yield f"{key} {value.dtype} {tuple(value.shape)}".encode()
        yield value.flatten().view(torch.uint8).numpy().data
