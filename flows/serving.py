"""Start, look after and stop all that a machine runs for years.

dopsd up; dopsd status; dopsd down

`up` starts what does not run, waits until it is healthy, and goes: call it again, or from a timer, and it starts what
died meanwhile.
"""

import importlib
import os
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict
from http.client import HTTPException
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import typer
from rich.console import Console
from rich.table import Table

from flows import service
from flows.machine import HOST, Machine
from flows.mistakes import mistakes_told, told
from flows.service import Service
from tasks.devices.host import devices
from tasks.folders import read_json, write_json
from tasks.lock import held_if_free
from tasks.runner import RUNS

SERVICES = RUNS / "services"
MACHINE = "machine.json"
_STARTS_WITHIN_S = 600.0  # 15 s on an idle machine; the first start makes a database
_LOG_LINES = 15


def up(
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, envvar="DOPSD_PREFECT_PORT")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, envvar="DOPSD_MLFLOW_PORT")] = 5000,
    gpus: Annotated[int, typer.Option(min=-1, envvar="DOPSD_GPUS", help="How many to use; -1: all there are.")] = -1,
) -> None:
    """Start the servers, the deployments and the workers of this machine, and print where to look."""
    root = Path()
    with mistakes_told(), held_if_free(SERVICES / "up.lock") as is_ours:
        if not is_ours:
            raise BlockingIOError("another `dopsd up` or `dopsd down` is at work here: wait for it")
        machine = Machine(prefect_port, mlflow_port, len(devices()) if gpus < 0 else gpus)
        _refuse_to_move(machine)
        importlib.import_module("flows.storage").refuse_unreachable()
        write_json(SERVICES / MACHINE, asdict(machine))
        _start(machine.servers(root))
        _deploy(machine, root)
        _start(machine.workers())
    told.print(f"Prefect  {machine.prefect}\nMLflow   {machine.mlflow}")
    told.print(f"for other programs: export PREFECT_API_URL={machine.api}", soft_wrap=True)


def down() -> None:
    """Stop all that `dopsd up` started here, the workers first; runs that they worked at are marked as crashed."""
    with mistakes_told(), held_if_free(SERVICES / "up.lock") as is_ours:
        if not is_ours:
            raise BlockingIOError("another `dopsd up` or `dopsd down` is at work here: wait for it")
        found = service.names(SERVICES)
        for name in sorted(found, reverse=True):  # worker-..., prefect, mlflow
            if name == "prefect" and (machine := running(Path())) is not None and _is_healthy(f"{machine.api}/health"):
                _bury(machine)
            service.stop(name, SERVICES)
        (SERVICES / MACHINE).unlink(missing_ok=True)
    told.print(f"stopped: {', '.join(sorted(found))}" if found else "nothing runs here")


def status() -> None:
    """Tell what runs here and whether it is healthy; exit code 1 where something is not."""
    machine = running(Path())
    table = Table("service", "", "process", "log", box=None, pad_edge=False, header_style="bold")
    with mistakes_told():
        if machine is None:
            raise FileNotFoundError("nothing was started here: `dopsd up` starts it")
    states = {row.name: _state(row) for row in (*machine.servers(Path()), *machine.workers())}
    for name, state in states.items():
        pids = [str(process.pid) for process in service.processes(name, SERVICES)[:1]]
        table.add_row(name, state, *(pids or ["-"]), str(service.log(name, SERVICES)))
    Console(highlight=False).print(table)
    told.print(f"Prefect  {machine.prefect}\nMLflow   {machine.mlflow}")
    if set(states.values()) != {"healthy"}:
        told.print("`dopsd up` starts what is not there; the log says why it ended")
        raise typer.Exit(1)


def running(root: Path) -> Machine | None:
    """Say what was started in a folder."""
    path = root / SERVICES / MACHINE
    return Machine(**read_json(path)) if path.is_file() else None


def _refuse_to_move(machine: Machine) -> None:
    """Raise ValueError where a port is taken by others, or what runs here listens on other ports."""
    alive, before = service.names(SERVICES), running(Path())
    if alive and before is not None and before != machine:
        said = f"--prefect-port {before.prefect_port} --mlflow-port {before.mlflow_port} --gpus {before.gpus}"
        raise ValueError(f"what runs here was started with {said}: say the same, or `dopsd down` first")
    for name, port in (("prefect", machine.prefect_port), ("mlflow", machine.mlflow_port)):
        if name not in alive and _is_taken(port):
            raise ValueError(f"port {port} is taken by another program: choose one with --{name}-port")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _start(services: Iterable[Service]) -> None:
    """Start what does not run, all at once, and wait for all; raises ValueError with the end of the log."""
    rows = list(services)
    for row in rows:
        if not service.processes(row.name, SERVICES):
            service.start(row, SERVICES)
    until = time.monotonic() + _STARTS_WITHIN_S
    for row in rows:
        while (state := _state(row)) != "healthy":
            time.sleep(0.3)
            if time.monotonic() > until or (state == "not there" and _state(row) == "not there"):
                raise ValueError(_why_not(row.name))


def _why_not(name: str) -> str:
    path = service.log(name, SERVICES)
    last = "\n".join(path.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    return f"{name} did not start; {path} ends:\n{last}"


def _state(row: Service) -> str:
    if not service.processes(row.name, SERVICES):
        return "not there"
    return "healthy" if row.health is None or _is_healthy(row.health) else "does not answer"


def _is_healthy(page: str) -> bool:
    try:
        with urlopen(page, timeout=10) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def _deploy(machine: Machine, root: Path) -> None:
    """Tell the server what it must know; runs that nobody works on are ended where no worker of ours lives."""
    os.environ["PREFECT_API_URL"] = machine.api
    provision = importlib.import_module("flows.provision")
    provision.make_pools()
    _bury(machine)
    provision.deploy(root)
    if kinds := importlib.import_module("flows.notices").keep_told():
        told.print(f"runs that end early are told to {', '.join(kinds)}")
    importlib.import_module("flows.heartbeat").watch_hearts()


def _bury(machine: Machine) -> None:
    """Mark the runs whose processes are gone, and tell of them."""
    os.environ["PREFECT_API_URL"] = machine.api
    workers = {name for name in service.names(SERVICES) if name.startswith("worker-")}
    alive = {process.pid for name in workers for process in service.processes(name, SERVICES)}
    served = {name.split("-")[1] for name in workers}
    for name in importlib.import_module("flows.provision").bury(alive, served):
        told.print(f"the run {name} had no process any more: it is marked as crashed", soft_wrap=True)
