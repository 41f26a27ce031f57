"""A program that runs on beside us: started with a mark in its environment, found and stopped by that mark.

    start(Service("mlflow", ("mlflow", "server")), Path("runs/services"))
    stop("mlflow", Path("runs/services"))

Whatever it starts inherits the mark. So nothing is left that cannot be found, however any of them died, and no process
of another is ever taken for ours, whatever number it has.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_MARK = "DOPSD_SERVICE"
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Service:
    """A command of this Python, what is added to its environment, and the page that answers once it is up."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    health: str | None = None


def start(service: Service, folder: Path) -> None:
    """Start it in the current folder, in a session of its own; what it prints goes to <folder>/<name>.log."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tasks.environment", *service.command]
    environment = {**os.environ, **service.environment, _MARK: _mark(service.name, folder)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has us ignore it, and all we start
    with log(service.name, folder).open("ab") as file:
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


def processes(name: str, folder: Path) -> list[psutil.Process]:
    """Find the living processes of a service, the oldest first."""
    mark = _mark(name, folder)
    found = (process for process, said in _marked() if said == mark)
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def names(folder: Path) -> set[str]:
    """Name the services of a folder that have a living process."""
    begin = _mark("", folder)
    return {said.removeprefix(begin) for _, said in _marked() if said.startswith(begin)}


def stop(name: str, folder: Path) -> None:
    """Ask its first process to end, then all that are left, then insist."""
    for asked, how in ((1, signal.SIGTERM), (None, signal.SIGTERM), (None, signal.SIGKILL)):
        found = processes(name, folder)
        for process in found[:asked]:
            _signal(process, how)
        psutil.wait_procs(found[:asked], _PATIENCE_S)


def log(name: str, folder: Path) -> Path:
    """Say where a service tells what it does."""
    return folder / f"{name}.log"


def _mark(name: str, folder: Path) -> str:
    return f"{folder.resolve()}:{name}"


def _marked() -> Iterator[tuple[psutil.Process, str]]:
    """List living processes that bear a mark; those of other users do not show us theirs."""
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and (said := process.environ().get(_MARK)):
                yield process, said
        except (psutil.Error, OSError):
            continue


def _signal(process: psutil.Process, how: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(how)  # psutil looks first whether the number still is this process
