"""What dvc.lock names, by its digest: is it still in DVC's cache or its remote, and whole; and bring it from there.

>>> with stores(Path()) as known: known.complaint("a31bd35b6f0447b734d85e475cdcbfab.dir", is_strict=True)
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.config import RemoteConfigError
from dvc.repo import Repo

from tasks.folders import staged_folder
from tasks.takedown.receipt import Removed, removed

_CHUNK = 1 << 20


@dataclass
class Stores:
    """DVC's cache and its remote, if there is one; what was looked at once is remembered.

    What takedowns removed is not missed.
    """

    _places: list[Any]
    _removed: Removed
    _seen: dict[tuple[str, bool, frozenset[str]], str | None] = field(default_factory=dict)

    def complaint(self, digest: str, *, is_strict: bool, run_id: str | None = None) -> str | None:
        """Say what is wrong with an object, or with a file of a folder; None where nothing is.

        It suffices that it is anywhere; `is_strict` asks the remote alone, if there is one, and digests every byte.
        Lists of files always are digested. `run_id` says whose version it is: no takedown takes a grid from one that it
        did not hit.
        """
        key = (digest, is_strict, self._removed.of(run_id))
        if digest in key[-1]:
            return None
        if key not in self._seen:
            is_folder, last = digest.endswith(".dir"), self._places[-1]
            place = self._holder(digest, is_strict=is_strict or is_folder, places=[last] if is_strict else None)
            if place is None:
                self._seen[key] = self._lacking(digest)
            else:
                self._seen[key] = (
                    self._of_files(place, digest, is_strict=is_strict, run_id=run_id) if is_folder else None
                )
        return self._seen[key]

    def files(self, digest: str) -> dict[str, str]:
        """List the files of a folder by name, with the digest of each; raises FileNotFoundError where it is gone."""
        return dict(self._files(self._whole(digest), digest))

    def bring(self, digest: str, place: Path, *, is_whole: bool = True) -> None:
        """Lay an object out at `place`, a file or a folder, every byte of it digested before.

        Unless `is_whole` a folder comes without the files that takedowns removed. Raises FileNotFoundError where
        something is not there, or not whole.
        """
        if not digest.endswith(".dir"):
            self._copy(digest, place)
            return
        with staged_folder(place) as staged:
            for name, md5 in self.files(digest).items():
                if is_whole or md5 not in self._removed.of(None):
                    self._copy(md5, staged / name)

    def _copy(self, digest: str, place: Path) -> None:
        holder = self._whole(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        holder.fs.get_file(holder.oid_to_path(digest), str(place))

    def _whole(self, digest: str) -> Any:
        """Find a place that has an object as it should be; raises FileNotFoundError where none has."""
        if holder := self._holder(digest, is_strict=True):
            return holder
        raise FileNotFoundError(f"{self._lacking(digest)}: bring it back with `dvc pull`, or from a backup")

    def _holder(self, digest: str, *, is_strict: bool, places: Sequence[Any] | None = None) -> Any | None:
        """Find a place, of all or of some, that has an object, whole; one is enough."""
        there = (place for place in places or self._places if place.fs.exists(place.oid_to_path(digest)))
        return next((place for place in there if not is_strict or _md5(place, digest) == digest[:32]), None)

    def _lacking(self, digest: str) -> str:
        if self._holder(digest, is_strict=True):
            return f"{digest} is in DVC's cache, not whole in its remote: `dopsd push` fills that"
        if self._holder(digest, is_strict=False):
            return f"{digest} is there, but its content has another digest"
        return f"{digest} is neither in DVC's cache nor in its remote"

    def _of_files(self, place: Any, digest: str, *, is_strict: bool, run_id: str | None) -> str | None:
        found = (
            (name, self.complaint(md5, is_strict=is_strict, run_id=run_id)) for name, md5 in self._files(place, digest)
        )
        return next((f"{name}: {complaint}" for name, complaint in found if complaint), None)

    def _files(self, place: Any, digest: str) -> list[tuple[str, str]]:
        """List the files of a folder, each with its digest."""
        with place.fs.open(place.oid_to_path(digest), "rb") as file:
            return [(row["relpath"], row["md5"]) for row in json.load(file)]


@contextmanager
def stores(root: Path) -> Iterator[Stores]:
    """Open cache and remote of a workspace; without a remote, the cache alone."""
    with Repo(str(root)) as repo:
        places = [repo.cache.local]
        with suppress(RemoteConfigError):  # none is configured
            places.append(repo.cloud.get_remote_odb())
        yield Stores(places, removed(root))


def _md5(place: Any, digest: str) -> str:
    found = hashlib.md5(usedforsecurity=False)
    with place.fs.open(place.oid_to_path(digest), "rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
