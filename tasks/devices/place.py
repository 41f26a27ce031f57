"""The folder in which all processes of a host, whoever runs them, agree on its devices; and the line of those who wait.

    with alone(): ...
    with in_line("normal", ["0", "1"]) as place: wanted = wanted_before(place)

A lock there is a file that everybody may open. Whoever looks or changes something does so alone, for milliseconds.
"""

import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

from tasks.lock import held, held_if_free

LEASES = "DOPSD_LEASES"
"""Names the folder, where it shall be another; it must be the same for all who share devices."""
Priority = Literal["urgent", "normal", "background"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
_LINE = "waiting"


def file(name: str) -> Path:
    """Give a file of the folder that every user may lock."""
    path = _folder() / name.replace("/", "-")
    with suppress(FileExistsError):
        path.touch(exist_ok=False)
        path.chmod(0o666)
    return path


def device_lock(name: str) -> Path:
    """Give the file whose lock is a device's lease."""
    return file(f"device-{name}.lock")


def alone() -> AbstractContextManager[None]:
    """Have the folder for ourselves."""
    return held(file("turn.lock"))


@contextmanager
def in_line(priority: Priority, names: Collection[str]) -> Iterator[Path]:
    """Stand in line for the devices `names` as long as we live; gives our place there."""
    with ExitStack() as standing:
        with alone():
            place = file(f"{_LINE}-{PRIORITIES.index(priority)}-{time.time_ns():020d}-{os.getpid()}")
            standing.enter_context(held_if_free(place, ",".join(names)))
        try:
            yield place
        finally:
            with alone():
                place.unlink()


def wanted_before(place: Path) -> set[str]:
    """Name the devices that somebody before us in line could use; whoever died there is swept. Asked for alone."""
    wanted: set[str] = set()
    for other in place.parent.glob(f"{_LINE}-*"):
        with held_if_free(other) as is_dead:
            if is_dead:
                other.unlink()
            elif other.name < place.name:
                wanted |= set(other.read_text().split(","))
    return wanted


def _folder() -> Path:
    """Find a folder that all users may write to; not /tmp, where a file is tidied up after ten days, held or not."""
    run = Path("/run/lock")
    is_open = run.is_dir() and run.stat().st_mode & stat.S_IWOTH
    folder = Path(os.environ.get(LEASES) or (run if is_open else Path("/var/tmp")) / "dopsd-devices")
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
        folder.chmod(0o777)  # not sticky, or Linux would keep users from opening each other's locks
    return folder
