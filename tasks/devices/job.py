"""A process that computes on devices which are leased to it, and sees no others.

with devices_for(stage("train"), load(Path())): ...        (before CUDA is asked for anything)
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.devices.host import VISIBLE, devices
from tasks.devices.lease import Need, fit, leased
from tasks.devices.place import PRIORITIES, Priority
from tasks.pipeline import Stage
from tasks.planning.installation import pool

if TYPE_CHECKING:  # lending a device to a program reads no params
    from tasks.params import Params

LEASED = "DOPSD_LEASED"
"""Names the devices that whoever started us holds for us."""
PRIORITY = "DOPSD_PRIORITY"


@contextmanager
def devices_for(stage: Stage, params: "Params") -> Iterator[None]:
    """Hold what a stage needs; on a host without GPUs a stage that asks for no memory has the CPU.

    Raises ValueError where no device of this host could ever hold it.
    """
    if stage.needs == "gpu" and _are_ours_to_lease(stage, params):
        with seen(need_of(stage, params)):
            yield
    else:
        yield


@contextmanager
def seen(need: Need) -> Iterator[None]:
    """Hold devices; this process, and all that it starts, see these alone."""
    with leased(need, devices()) as mine:
        before = dict(os.environ)
        os.environ[VISIBLE] = os.environ[LEASED] = ",".join(device.name for device in mine)
        try:
            yield
        finally:
            for name in (VISIBLE, LEASED):
                os.environ.pop(name)
                os.environ.update({name: before[name]} if name in before else {})


def refuse_too_small_a_host(stages: Iterable[Stage], params: "Params") -> None:
    """Raise ValueError where this host could never hold one of the stages: better now than after an hour of others."""
    for stage in stages:
        if stage.needs == "gpu" and _are_ours_to_lease(stage, params):
            fit(need_of(stage, params), devices())


def need_of(stage: Stage, params: "Params") -> Need:
    """Read what params.yaml says of a stage: training wants a device a process."""
    count = params.train.processes if stage.name == "train" else 1
    memory_gib = params.machine.memory_gib.get(stage.name, 0.0)
    return Need(stage.name, memory_gib, count, priority(), gives_way=stage.goes_on)


def priority() -> Priority:
    """Read DOPSD_PRIORITY; raises ValueError where it is none."""
    said = os.environ.get(PRIORITY, "normal")
    for known in PRIORITIES:
        if known == said:
            return known
    raise ValueError(f"{PRIORITY} is {said!r}: choose one of {', '.join(PRIORITIES)}")


def _are_ours_to_lease(stage: Stage, params: "Params") -> bool:
    has_any_or_wants_some = bool(devices()) or stage.name in params.machine.memory_gib
    return LEASED not in os.environ and pool() is None and has_any_or_wants_some
