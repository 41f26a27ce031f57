"""Is what dvc.lock names still there: in DVC's cache or its remote, whole, and with the digest that it goes by.

>>> with stores(Path()) as known: known.complaint("a31bd35b6f0447b734d85e475cdcbfab.dir", is_strict=True)
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.config import RemoteConfigError
from dvc.repo import Repo

_CHUNK = 1 << 20


@dataclass
class Stores:
    """DVC's cache and its remote, if there is one; what was looked at once is remembered."""

    _places: list[Any]
    _seen: dict[tuple[str, bool], str | None] = field(default_factory=dict)

    def complaint(self, digest: str, *, is_strict: bool) -> str | None:
        """Say what is wrong with an object, or with a file of a folder; None where nothing is.

        It suffices that it is there; `is_strict` reads every byte and digests it. Lists of files always are.
        """
        key = (digest, is_strict)
        if key not in self._seen:
            is_folder = digest.endswith(".dir")
            place = self._holder(digest, is_strict=is_strict or is_folder)
            if place is None:
                self._seen[key] = self._lacking(digest)
            else:
                self._seen[key] = self._of_files(place, digest, is_strict=is_strict) if is_folder else None
        return self._seen[key]

    def _holder(self, digest: str, *, is_strict: bool) -> Any | None:
        """Find a place that has an object, whole; one is enough."""
        there = (place for place in self._places if place.fs.exists(place.oid_to_path(digest)))
        return next((place for place in there if not is_strict or _md5(place, digest) == digest[:32]), None)

    def _lacking(self, digest: str) -> str:
        if self._holder(digest, is_strict=False):
            return f"{digest} is there, but its content has another digest"
        return f"{digest} is neither in DVC's cache nor in its remote"

    def _of_files(self, place: Any, digest: str, *, is_strict: bool) -> str | None:
        with place.fs.open(place.oid_to_path(digest), "rb") as file:
            rows: list[dict[str, str]] = json.load(file)
        found = ((row["relpath"], self.complaint(row["md5"], is_strict=is_strict)) for row in rows)
        return next((f"{name}: {complaint}" for name, complaint in found if complaint), None)


@contextmanager
def stores(root: Path) -> Iterator[Stores]:
    """Open cache and remote of a workspace; without a remote, the cache alone."""
    with Repo(str(root)) as repo:
        places = [repo.cache.local]
        with suppress(RemoteConfigError):  # none is configured
            places.append(repo.cloud.get_remote_odb())
        yield Stores(places)


def _md5(place: Any, digest: str) -> str:
    found = hashlib.md5(usedforsecurity=False)
    with place.fs.open(place.oid_to_path(digest), "rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
