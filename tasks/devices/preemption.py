"""Ask who holds a device for something less urgent to give way: it saves, ends, and stands in line again.

    ask(place, "urgent", 1, ["0", "1"], asked)

A holder says in its lease whether it can go on later from where it was; no other is asked, and never more of them than
it takes. The question is a SIGTERM, so who does not answer keeps what it holds.
"""

import os
import re
import signal
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tasks.devices.place import PRIORITIES, Priority, alone, device_lock, wanted_before
from tasks.lock import held_if_free

_GIVES_WAY = " (gives way)"
_NOTE = re.compile(rf"process (\d+), ({'|'.join(PRIORITIES)}){re.escape(_GIVES_WAY)}, ")


@dataclass(frozen=True)
class Holder:
    """A process that holds a device, and would give way to whoever stands before `rank`, a place in PRIORITIES."""

    pid: int
    rank: int


def note(what: str, priority: Priority, *, gives_way: bool) -> str:
    """Say who we are in the lease of a device."""
    return f"process {os.getpid()}, {priority}{_GIVES_WAY if gives_way else ''}, {what}"


def ask(place: Path, priority: Priority, count: int, names: Collection[str], asked: set[int]) -> None:
    """Ask holders of `names`, the least urgent first, until `count` devices will be ours; none where too few would do.

    `place` is ours in the line: what somebody before us could use, he asks for himself. `asked` are the processes that
    we asked before, which may still be saving; those that are asked now join them.
    """
    with alone():
        ours = set(names) - wanted_before(place)
        held = _held(ours)
        holding = Counter(holder for holder in held.values() if holder is not None)
        missing = count - (len(ours) - len(held))
        leaving = sum(holding[holder] for holder in holding if holder.pid in asked)
        willing = [row for row in holding if row.rank > PRIORITIES.index(priority) and row.pid not in asked]
        willing.sort(key=lambda holder: (-holder.rank, holder.pid))
        for holder in _enough(willing, holding, missing - leaving):
            with suppress(ProcessLookupError, PermissionError):  # of another user: only he may ask it
                os.kill(holder.pid, signal.SIGTERM)
            asked.add(holder.pid)


def _enough(willing: Sequence[Holder], holding: Counter[Holder], missing: int) -> list[Holder]:
    """Take from the front until they hold `missing` devices together; nobody where all of them hold fewer."""
    taken = []
    for holder in willing:
        if missing <= 0:
            break
        taken.append(holder)
        missing -= holding[holder]
    return taken if missing <= 0 else []


def _held(names: Iterable[str]) -> dict[str, Holder | None]:
    """Find who holds which of the devices; None stands for one that we may not ask."""
    found = dict[str, Holder | None]()
    for lock, name in ((device_lock(name), name) for name in names):
        with held_if_free(lock) as is_free:
            if not is_free:
                found[name] = _holder(lock)
    return found


def _holder(lock: Path) -> Holder | None:
    said = _NOTE.match(lock.read_text())
    if said is None or not _has_open(int(said[1]), lock):
        return None
    return Holder(int(said[1]), PRIORITIES.index(cast(Priority, said[2])))


def _has_open(pid: int, lock: Path) -> bool:
    """Tell whether the number is that process here, too: in another container it may be somebody else's."""
    try:
        return any(file.samefile(lock) for file in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # it is gone, or another user's, or this system does not show it
        return False
