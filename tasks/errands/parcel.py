"""Entries of a store on their way between machines: through DVC's remote, a parcel a shard.

    name = ask({"latents": [...]}, root)                      (the run that divides says what it lacks)
    wanted(name, root); send(name, shard, root)               (the worker of a shard makes that, and sends it)
    unpack(name, shard, root); forget(name, root)             (the run that waits has it in its own store then)

Nothing is kept here: what is lost on the way is made again.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any
from uuid import uuid4

from dvc.repo import Repo

from tasks.errands.baggage import remote_of
from tasks.runner import RUNS
from tasks.stores.shard import Shard
from tasks.stores.store import OF_WORDS, opened, picture_of

PARCELS = "parcels"
"""The folder of a remote in which they lie."""
_ASKED = "asked.json"


def ask(lacking: Mapping[str, list[str]], root: Path) -> str:
    """Say in the remote which entries are wanted, by their kind; gives a name for that, which nobody else has.

    Raises ValueError where DVC has no remote.
    """
    name = uuid4().hex
    with _folder(name, root) as (fs, folder):
        fs.makedirs(folder, exist_ok=True)
        fs.pipe_file(fs.join(folder, _ASKED), json.dumps(lacking).encode())
    return name


def wanted(name: str, root: Path) -> dict[str, list[str]]:
    """Read that; raises FileNotFoundError once nobody waits for it any more."""
    with _folder(name, root) as (fs, folder):
        found: dict[str, list[str]] = json.loads(fs.cat_file(fs.join(folder, _ASKED)))
        return found


def send(name: str, shard: Shard, root: Path) -> None:
    """Send the entries of a shard, as the store here holds them."""
    with _folder(name, root) as (fs, folder), NamedTemporaryFile(dir=root / RUNS) as file:
        with tarfile.open(fileobj=file, mode="w") as parcel:
            for kind, keys in wanted(name, root).items():
                kept = opened(root / RUNS, kind)
                for entry in filter(shard.holds, keys):
                    parcel.add(kept.path(entry), f"{kind}/{entry}")
        file.flush()
        fs.put_file(file.name, _path(fs, folder, shard))


def unpack(name: str, shard: Shard, root: Path) -> None:
    """Put the entries of a shard into the store here, each one that is whole and was asked for; the parcel goes.

    Raises ConnectionError where it does not come, or not whole.
    """
    with _folder(name, root) as (fs, folder):
        path = _path(fs, folder, shard)
        try:
            asked = {kind: frozenset(keys) for kind, keys in wanted(name, root).items()}
            with fs.open(path, "rb") as file, tarfile.open(fileobj=file, mode="r|") as parcel:
                for kind, entry, data in _entries(parcel):
                    if entry in asked.get(kind, ()):
                        opened(root / RUNS, kind).take(entry, data)
        except (OSError, tarfile.TarError) as error:
            raise ConnectionError(f"{shard} did not come by DVC's remote: {error}") from error
        fs.remove(path)


def forget(name: str, root: Path) -> None:
    """Remove all that lies in the remote under a name."""
    with _folder(name, root) as (fs, folder):
        if fs.exists(folder):
            fs.remove(folder, recursive=True)


@contextmanager
def _folder(name: str, root: Path) -> Iterator[tuple[Any, str]]:
    """Say where the parcels of a name lie, and lend the file system there."""
    with Repo(str(root)) as repo:
        store = remote_of(repo, "md5-dos2unix")
        yield store.fs, store.fs.join(store.path, PARCELS, name)


def left(store: Any) -> Iterator[str]:
    """List what lies in a remote, `remote_of(repo, "md5-dos2unix")`, for runs that are under way or died."""
    folder = store.fs.join(store.path, PARCELS)
    yield from store.fs.find(folder) if store.fs.exists(folder) else ()


def pictures(file: IO[bytes]) -> set[str]:
    """Say which pictures the entries of a parcel are of; an empty name stands for what nobody can tell."""
    try:
        with tarfile.open(fileobj=file, mode="r|") as parcel:
            return {picture_of(data) for kind, _, data in _entries(parcel) if kind not in OF_WORDS}
    except tarfile.TarError:
        return {""}


def _path(fs: Any, folder: str, shard: Shard) -> str:
    path: str = fs.join(folder, f"{shard.number}-of-{shard.of}.tar")
    return path


def _entries(parcel: tarfile.TarFile) -> Iterator[tuple[str, str, bytes]]:
    for member in parcel:
        kind, _, entry = member.name.partition("/")
        file = parcel.extractfile(member)
        if file is not None:
            yield kind, entry, file.read()
