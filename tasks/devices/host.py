"""The devices that this process may use, each with a name and its memory.

python -m tasks.devices            (lists them)
DOPSD_DEVICES=fake-0:24,fake-1:80 python -m tasks.devices
"""

import math
import os
import shutil
import subprocess
from dataclasses import dataclass

DEVICES = "DOPSD_DEVICES"
"""Says what there is instead of the driver, such as 0:24,1:80; nothing at all where it is empty."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
_MIB_A_GIB = 1024
_QUESTION = ("nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Device:
    """A GPU by the name that CUDA_VISIBLE_DEVICES takes; memory in whole GiB, as cards are sold."""

    name: str
    memory_gib: float


def devices() -> tuple[Device, ...]:
    """List what DOPSD_DEVICES says, or else the driver, as far as CUDA_VISIBLE_DEVICES allows; wakes no GPU.

    Raises ValueError where DOPSD_DEVICES is none of names and numbers.
    """
    said = os.environ.get(DEVICES)
    return _asked() if said is None else _said(said)


def _said(text: str) -> tuple[Device, ...]:
    found = []
    for part in filter(None, text.split(",")):
        name, _, memory = part.strip().rpartition(":")
        if not name or not _is_positive(memory):
            raise ValueError(f"{DEVICES} is {text!r}: write NAME:GiB for each device, such as 0:24,1:80")
        found.append(Device(name, float(memory)))
    if len({device.name for device in found}) < len(found):
        raise ValueError(f"{DEVICES} is {text!r}: two devices have one name, and could not be told apart")
    return tuple(found)


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _asked() -> tuple[Device, ...]:
    """Ask the driver. A GPU goes by its UUID: CUDA counts otherwise than nvidia-smi, and in a container both do."""
    if shutil.which(_QUESTION[0]) is None:
        return ()
    answer = subprocess.run(_QUESTION, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return ()
    rows = [[part.strip() for part in line.split(",")] for line in answer.stdout.splitlines()]
    visible = os.environ.get(VISIBLE)
    return tuple(
        Device(uuid, float(round(int(mib) / _MIB_A_GIB)))
        for index, uuid, mib in rows
        if visible is None or {index, uuid} & set(visible.split(","))
    )
