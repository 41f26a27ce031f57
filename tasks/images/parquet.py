"""A parquet shard of Hugging Face's datasets as if it were an archive: a picture a row, and the row's texts as JSON.

    with opened(Path("train-00000-of-00004.parquet")) as members:    # [("000000", ...), ("000000.json", ...), ...]

Rows are read forwards and a few at a time, when a member is asked for its bytes: memory holds these and the page that
they stand in, never a shard.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pyarrow import ArrowException
from pyarrow.parquet import ParquetFile

from tasks.images.description import CAPTIONS
from tasks.images.picture import Unusable

Member = tuple[str, Callable[[], io.BytesIO]]
_IMAGE = "image"
_ROWS = 8
"""Rows in memory."""


@contextmanager
def opened(path: Path) -> Iterator[list[Member]]:
    """List the members of a shard, which are read in this order; raises Unusable where it has no column of pictures.

    A shard that is broken raises OSError, here or when a member is read.
    """
    with _told(), ParquetFile(path, memory_map=True) as shard:
        columns = shard.schema_arrow.names
        if _IMAGE not in columns:
            raise Unusable(f"it has no column {_IMAGE}, but {', '.join(columns)}", "rename the column of the pictures")
        texts = [name for name in CAPTIONS if name in columns]
        rows, members = _Rows(shard, [_IMAGE, *texts]), list[Member]()
        for number in range(shard.metadata.num_rows):
            members.append((f"{number:06}", partial(_picture, rows, number)))
            if texts:
                members.append((f"{number:06}.json", partial(_texts, rows, number, texts)))
        yield members


@contextmanager
def _told() -> Iterator[None]:
    """Tell of a broken shard as of any other broken archive."""
    try:
        yield
    except ArrowException as error:
        raise OSError(str(error)) from error


class _Rows:
    """The rows of a shard by their numbers, none smaller than the one before."""

    def __init__(self, shard: ParquetFile, columns: list[str]) -> None:
        self._batches = shard.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False)
        self._first, self._held = 0, list[dict[str, Any]]()

    def __getitem__(self, number: int) -> dict[str, Any]:
        while number >= self._first + len(self._held):
            self._first += len(self._held)
            with _told():
                self._held = next(self._batches).to_pylist()
        return self._held[number - self._first]


def _picture(rows: _Rows, number: int) -> io.BytesIO:
    """Give the bytes of the picture in a row: a cell is {bytes, path}, or bytes alone."""
    cell = rows[number][_IMAGE]
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes):
        raise Unusable("the row holds no picture, at most the name of one", "write the shard with the pictures in it")
    return io.BytesIO(data)


def _texts(rows: _Rows, number: int, texts: list[str]) -> io.BytesIO:
    said = {name: rows[number][name] for name in texts if isinstance(rows[number][name], str | list)}
    return io.BytesIO(json.dumps(said, default=lambda _: None).encode())
