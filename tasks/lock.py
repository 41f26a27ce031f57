"""One holder at a time, among all processes of a machine.

    with held(Path("runs/writer.lock"), "the other run"): ...

The kernel lets go of a lock when its holder dies, however that happens: none is ever left behind. The file stays, and
names the process that had it last.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def held(path: Path, what: str = "") -> Iterator[None]:
    """Hold the lock `path`; where another process does, say on stderr that we wait for `what`, if that is said."""
    with _opened(path) as file:
        if not _taken(file):
            if what:
                print(f"  waiting for {what} (process {path.read_text()})", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        _sign(file)
        yield


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock `path` if nobody does; tells whether we hold it."""
    with _opened(path) as file:
        is_ours = _taken(file)
        if is_ours:
            _sign(file)
        yield is_ours


def _opened(path: Path) -> IO[str]:
    """Open without truncating: whoever waits must not wipe out the holder's number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a")


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: IO[str]) -> None:
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
