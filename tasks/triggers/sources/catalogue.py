"""Which kind of source an address names.

named("inbox"); named("s3://bucket/inbox")
"""

from pathlib import Path
from urllib.parse import urlsplit

from tasks.triggers.sources.folder import Folder
from tasks.triggers.sources.object_store import ObjectStore
from tasks.triggers.sources.source import Source


def named(address: str) -> Source:
    """Find the source that an address names; raises ValueError where it holds a secret, or nothing can read it."""
    if (folder := local(address)) is not None:
        return Folder(folder)
    if urlsplit(address).password is not None:
        raise ValueError("the address holds a password, which would be told in logs: leave it to the environment")
    return ObjectStore(address)


def local(address: str) -> Path | None:
    """Give the folder of this machine that an address names; None where it lies elsewhere."""
    path = address.removeprefix("file://")
    return None if "://" in path else Path(path)
