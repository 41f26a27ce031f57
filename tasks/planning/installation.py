"""What this machine computes with, besides our code: versions of libraries, the device, the number format; no torch.

$ python -c "from tasks.planning.installation import numerics, versions; print(versions(['torch']), numerics())"
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

_NAMED_OTHERWISE = {"PIL": "pillow", "yaml": "PyYAML", "ruamel": "ruamel.yaml", "dotenv": "python-dotenv"}
"""Distributions that are not called as they are imported; others like them are looked for, which takes seconds."""

POOL = "DOPSD_POOL"
"""Set where stages that need a GPU are sent to workers of the pool `gpu`: what those compute with, cuda or cpu."""
_DTYPES = {"cuda": "bfloat16", "cpu": "float32"}


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Give the installed version of every library by its import name; what comes with Python is left out."""
    return {name: _version(name) for name in sorted(set(libraries) - sys.stdlib_module_names)}


def numerics() -> dict[str, str]:
    """Say what `dopsd.placement.fastest` would choose: the kind of device, and the dtype of frozen weights on it.

    Where stages are sent away it is what it would choose there.
    """
    device = pool() or ("cuda" if _has_gpu() else "cpu")
    return {"device": device, "dtype": _DTYPES[device]}


def pool() -> str | None:
    """Say what the workers compute with that stages are sent to; None where they run here. Raises ValueError."""
    said = os.environ.get(POOL) or None
    if said is not None and said not in _DTYPES:
        raise ValueError(f"{POOL} is {said!r}: say what the workers of the pool gpu compute with, cuda or cpu")
    return said


@cache
def _version(library: str) -> str:
    try:
        return version(_NAMED_OTHERWISE.get(library, library))
    except PackageNotFoundError:
        names = packages_distributions().get(library, [])
        return " ".join(version(name) for name in sorted(set(names))) or "not installed"


@cache
def _has_gpu() -> bool:
    """Ask the driver, as torch would; a torch built for CPUs does not see what it answers."""
    if _version("torch").endswith("+cpu"):
        return False
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
