"""What lies below an address of an object store: s3://bucket/prefix, or any other that fsspec knows.

    ObjectStore("s3://bucket/inbox").marks()

Endpoint and credentials come from where the store's own tools find them: for S3 from AWS_ENDPOINT_URL, AWS_PROFILE and
the like, or ~/.aws. Nothing here reads, writes or logs them. An object is downloaded to be looked into, and once more
when a run takes it: no second copy of the bucket is kept.
"""

import errno
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from fsspec.core import url_to_fs

from tasks.images.picture import Unusable
from tasks.triggers.sources.source import Changed, Unreachable

_VERSIONS = ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "updated", "created")
"""What stores call that which changes with an object; the first that is there says most."""
_LONGEST_NAME = 255
_S3 = "s3:// needs `pip install --constraint constraints.txt --editable '.[s3]'`"
_ADDRESS = "correct the address, or the endpoint and credentials in the environment (AWS_ENDPOINT_URL, ...)"


class ObjectStore:
    """Objects below an address; their names are what follows it."""

    def __init__(self, address: str) -> None:
        """Raise ValueError where nothing here can read such an address."""
        self._address, self._names = address, frozenset[str]()
        try:
            self._store, root = url_to_fs(address, use_listings_cache=False)
        except Exception as error:  # each kind of store has errors of its own
            mend = _S3 if address.startswith("s3://") else "correct the address"
            raise ValueError(f"{address} cannot be watched: {error}; {mend}") from error
        self._root = f"{root.rstrip('/')}/"

    def marks(self) -> Mapping[str, str]:
        """List the objects; raises Unreachable where the store refuses, or knows no such bucket."""
        with self._told():
            rows = self._store.find(self._root, detail=True).values()
            if not rows and not self._is_there():
                raise FileNotFoundError("there is no such bucket or folder")
            found = {str(row["name"]).removeprefix(self._root): _mark(row) for row in rows if row["type"] == "file"}
        self._names = frozenset(found)
        return {name: mark for name, mark in found.items() if not name.endswith("/")}  # which stands for a folder

    @contextmanager
    def lent(self, name: str, mark: str) -> Iterator[Path]:
        """Download the object to a folder that goes with the block, and see that it is whole and still that object."""
        self._refuse_strange(name)
        with tempfile.TemporaryDirectory(prefix="dopsd-") as lent:
            path = Path(lent) / PurePosixPath(name).name
            with self._told():
                is_same = self._brought(name, path) == mark
            if not is_same:
                raise Changed(name)
            yield path

    def _brought(self, name: str, path: Path) -> str | None:
        """Download one object; gives the mark of what came, None where it went or was replaced meanwhile."""
        try:
            self._store.get_file(self._root + name, str(path))
            found = self._store.info(self._root + name)
        except FileNotFoundError:
            return None
        return _mark(found) if found["size"] == path.stat().st_size else None

    def _is_there(self) -> bool:
        """Tell an empty place from one that is not: in a bucket, no object is needed for a prefix to be right."""
        bucket = self._root.partition("/")[0]
        return bool(self._store.exists(self._root) or (bucket and self._store.exists(bucket)))

    def _refuse_strange(self, name: str) -> None:
        """Raise Unusable for a key that can be no file below a folder."""
        parts = name.split("/")
        if {"", ".", ".."} & set(parts) or any(len(part.encode()) > _LONGEST_NAME for part in parts):
            raise Unusable("its key is no path of a file below a folder", "give the object a plain name")
        if any(str(folder) in self._names for folder in PurePosixPath(name).parents):
            raise Unusable("a part of its key is an object by itself", "rename one of the two")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what the store complains of, with the mend; raises Unreachable, as any of it may pass."""
        try:
            yield
        except Exception as error:
            is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
            mend = f"make room in {tempfile.gettempdir()}, or name another place in TMPDIR" if is_full else _ADDRESS
            raise Unreachable(f"{self._address} cannot be read ({error}): {mend}") from error


def _mark(row: Mapping[str, Any]) -> str:
    version = next((row[key] for key in _VERSIONS if row.get(key) is not None), "")
    if isinstance(version, datetime):  # some stores say the time so in a list, and otherwise of one object
        version = version.timestamp()
    return f"{row['size']} {version}"
