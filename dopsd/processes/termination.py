"""Let a SIGTERM wait until the iteration at hand is done and saved; the process then ends with exit code 75.

75 is EX_TEMPFAIL of sysexits.h: nothing is wrong, run the same again and it goes on. A second SIGTERM changes nothing;
SIGKILL is for those who cannot wait, and costs the iterations since the last checkpoint.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EXIT_CODE = 75


class Terminated(SystemExit):
    """Training was asked to end, and has saved where it stands."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class AskedToEnd(SystemExit):
    """Something else was asked to end, or a training that had not begun: no process of it may wait for the others."""


@contextmanager
def heard() -> Iterator[None]:
    """Let a SIGTERM end what is done in the block as AskedToEnd, once; within `postponed` it waits, as ever."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # another one must not end what this one has begun to save
    raise AskedToEnd(EXIT_CODE)


@contextmanager
def postponed() -> Iterator[Callable[[], bool]]:
    """Lend a question: was this process asked to end? Beside the main thread, where signals do not arrive, never."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
