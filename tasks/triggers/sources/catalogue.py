"""Which kind of source an address names.

named("inbox"); named("s3://bucket/inbox"); named("git+https://host/photos.git@main")

An address such as event://dopsd.images-offered is none of these: what is offered there names them, one by one.
"""

from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from tasks.params import PARAMS_FILE
from tasks.triggers.sources.folder import Folder
from tasks.triggers.sources.object_store import ObjectStore
from tasks.triggers.sources.source import Source

OFFERED = "event://"


def named(address: str) -> Source:
    """Find the source that an address names; raises ValueError where it holds a secret, or nothing can read it."""
    if (folder := local(address)) is not None:
        return Folder(folder)
    if urlsplit(address).password is not None:
        raise ValueError("the address holds a password, which would be told in logs: leave it to the environment")
    if address.startswith("git+"):
        source: Source = import_module("tasks.triggers.sources.repository").Repository(address)  # it imports DVC
        return source
    return ObjectStore(address)


def refuse_overlap(folder: Path, ingested: Path) -> None:
    """Raise ValueError where a run could see half an upload, as ingest reads the folder that is watched."""
    one, other = folder.resolve(), ingested.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        said = f"{folder} and ingest.source of {PARAMS_FILE} ({ingested}) are one folder, or within each other"
        raise ValueError(f"{said}: watch another, as runs must not see half an upload")


def local(address: str) -> Path | None:
    """Give the folder of this machine that an address names; None where it lies elsewhere."""
    path = address.removeprefix("file://")
    return None if "://" in path else Path(path)
