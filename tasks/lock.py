"""One holder at a time, among all processes of a machine; or any number of those that share.

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
from weakref import WeakSet

_opened_here: WeakSet[IO[str]] = WeakSet()


@contextmanager
def held(path: Path, what: str = "", *, is_shared: bool = False) -> Iterator[None]:
    """Hold the lock `path`; where another process does, say on stderr that we wait for `what`, if that is said.

    What `is_shared` is held together with all others that share it.
    """
    how = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    with _opened(path) as file:
        if not _taken(file, how):
            if what:
                print(f"  waiting for {what} (process {path.read_text()})", file=sys.stderr, flush=True)
            fcntl.flock(file, how)
        _sign(file)
        yield


@contextmanager
def held_if_free(path: Path, note: str = "") -> Iterator[bool]:
    """Hold the lock `path` if nobody does; tells whether we hold it. `note` stands there instead of our number."""
    with _opened(path) as file:
        is_ours = _taken(file)
        if is_ours:
            _sign(file, note)
        yield is_ours


def keep_through_exec() -> None:
    """Let what this process holds stay held should it become another program, until that ends."""
    for file in _opened_here:
        if not file.closed:
            os.set_inheritable(file.fileno(), True)


def _opened(path: Path) -> IO[str]:
    """Open without truncating: whoever waits must not wipe out the holder's number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    _opened_here.add(file)
    return file


def _taken(file: IO[str], how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: IO[str], note: str = "") -> None:
    file.truncate(0)
    file.write(note or str(os.getpid()))
    file.flush()
