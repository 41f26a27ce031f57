"""Devices of this host for one holder at a time, among all processes of all users; whoever dies holds nothing.

    with leased(Need("my program", memory_gib=40), devices()) as mine: ...

Whose turn it is, each waiter finds out by itself: urgent before normal before background, and within those who came
first. Nobody takes a device that somebody before him could use, so a job that wants two at once is not overtaken for
ever by those that want one. Who waits while something less urgent is at work asks that to give way.
"""

import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks.devices import preemption
from tasks.devices.host import Device
from tasks.devices.place import Priority, alone, device_lock, in_line, wanted_before
from tasks.lock import held_if_free

_LOOK_AGAIN_S = 0.2


@dataclass(frozen=True)
class Need:
    """So many devices at once for `what`, each with so much memory, and how urgently.

    What `gives_way` ends when it gets a SIGTERM, and can go on later from where it was.
    """

    what: str
    memory_gib: float = 0.0
    count: int = 1
    priority: Priority = "normal"
    gives_way: bool = False

    def __post_init__(self) -> None:
        """Refuse to wait for nothing."""
        if self.count < 1:
            raise ValueError(f"{self.what} asks for {self.count} devices: ask for one at least")

    def __str__(self) -> str:
        """Say it in words."""
        devices = "one device" if self.count == 1 else f"{self.count} devices at once"
        return devices if not self.memory_gib else f"{devices} of {self.memory_gib:g} GiB"


@contextmanager
def leased(need: Need, host: Collection[Device]) -> Iterator[tuple[Device, ...]]:
    """Wait for our turn, and hold the smallest devices that fit; raises ValueError where there will never be any."""
    fitting = fit(need, host)
    with ExitStack() as holding:
        with in_line(need.priority, [device.name for device in fitting]) as place:
            mine = _taken(place, need, fitting, holding)
            if not mine:
                print(f"  {need.what} waits for {need}: {', '.join(map(_told, fitting))}", file=sys.stderr, flush=True)
            asked = set[int]()
            while not mine:
                preemption.ask(place, need.priority, need.count, [device.name for device in fitting], asked)
                time.sleep(_LOOK_AGAIN_S)
                mine = _taken(place, need, fitting, holding)
        yield mine


def fit(need: Need, host: Collection[Device]) -> tuple[Device, ...]:
    """List what would do, the smallest first; raises ValueError with the numbers and the mend where too few would."""
    fitting = sorted((device for device in host if device.memory_gib >= need.memory_gib), key=_size)
    if len(fitting) < need.count:
        has = ", ".join(f"{device.name} of {device.memory_gib:g} GiB" for device in sorted(host, key=_size))
        said = f"{need.what} needs {need}, and this host has {has or 'no device'}"
        raise ValueError(f"{said}: ask for less (machine.memory_gib of params.yaml), or run it on a larger host")
    return tuple(fitting)


def holder(device: Device) -> str | None:
    """Tell which process holds a device, and for what; None where nobody does."""
    lock = device_lock(device.name)
    with alone(), held_if_free(lock) as is_free:
        return None if is_free else lock.read_text()


def _taken(place: Path, need: Need, fitting: Sequence[Device], holding: ExitStack) -> tuple[Device, ...]:
    """Take what we need if our turn has come, or nothing at all."""
    mine: list[Device] = []
    with alone(), ExitStack() as taking:
        wanted, note = wanted_before(place), preemption.note(need.what, need.priority, gives_way=need.gives_way)
        for device in fitting:
            if device.name not in wanted and taking.enter_context(held_if_free(device_lock(device.name), note)):
                mine.append(device)
            if len(mine) == need.count:
                holding.enter_context(taking.pop_all())
                return tuple(mine)
    return ()


def _size(device: Device) -> tuple[float, str]:
    return device.memory_gib, device.name


def _told(device: Device) -> str:
    return f"{device.name} ({holder(device) or 'free'})"
