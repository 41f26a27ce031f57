"""The machine that is measured on: what it is, how fast it multiplies matrices, how much memory was taken.

>>> matmul_rate(fastest()) / 1e12  # TFLOP/s, in the number format that training computes in
"""

import os
import platform
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from dopsd.placement import Placement, fastest

_LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate")
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_REPEATS = 5


def described(placement: Placement) -> dict[str, object]:
    """Say what a result depends on beside the question: device, other work on it, number format, versions, date."""
    is_gpu = placement.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if is_gpu else f"CPU {platform.machine()}, {_threads()}",
        "memory_is": "allocated on the device" if is_gpu else "resident set of the process",
        "load_average": round(os.getloadavg()[0], 1),  # runnable processes when the measurement began
        "dtype": str(placement.dtype).removeprefix("torch."),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def measured_on(size: str) -> Placement:
    """Choose where a network of this size is measured; raises ValueError for a full one on a machine without a GPU."""
    placement = fastest()
    if size == "full" and placement.device.type != "cuda":
        raise ValueError(
            "--size full needs a GPU, and torch sees none here: billions of weights would take hours. "
            "Measure --size tiny, or let `bench count` tell what the full size costs on paper"
        )
    return placement


def settled_time(placement: Placement) -> float:
    """Read the clock (seconds) once the device has done what it was told."""
    if placement.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def seconds(work: Callable[[], object], placement: Placement, times: int) -> list[float]:
    """Do some work once, and then so many times by the clock."""
    work()
    taken = []
    for _ in range(times):
        begun = settled_time(placement)
        work()
        taken.append(settled_time(placement) - begun)
    return taken


def matmul_rate(placement: Placement) -> float:
    """Multiply square matrices, and give the best rate in FLOP/s: the peak that shares are of."""
    side = 8192 if placement.device.type == "cuda" else 512
    left = torch.randn(side, side, device=placement.device, dtype=placement.dtype)
    rates = []
    for _ in range(_REPEATS):
        begun = settled_time(placement)
        for _ in range(_REPEATS):
            left @ left
        rates.append(_REPEATS * 2 * side**3 / (settled_time(placement) - begun))
    return max(rates)


def peak_bytes(placement: Placement) -> Callable[[], int]:
    """Begin to watch memory; the answer tells the most that was taken since: allocated on a GPU, else resident.

    Where Linux does not let it be reset, and on other systems, the resident peak is that of the process's life.
    """
    if placement.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated
    if _CLEAR.exists():
        _CLEAR.write_text("5", encoding="ascii")
    return _resident_peak


def _resident_peak() -> int:
    if not _STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def _threads() -> str:
    return f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() != 1)}"
