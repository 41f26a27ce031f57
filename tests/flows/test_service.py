"""A service is found by its mark alone: all it started ends with it, and nobody else does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from flows import service
from flows.service import Service
from tests.served import until

# a program that ignores requests to end, with a child in a session of its own that does, too
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for name in service.names(tmp_path):
        for process in service.processes(name, tmp_path):
            with suppress(psutil.NoSuchProcess):  # it may have ended of itself since it was found
                process.kill()


def started(name: str, code: str, folder: Path, count: int) -> list[int]:
    service.start(Service(name, ("python", "-c", code)), folder)
    until(lambda: len(service.processes(name, folder)) >= count)
    return [process.pid for process in service.processes(name, folder)]


def test_stopping_ends_all_that_was_started_and_nobody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_PATIENCE_S", 0.3)
    started("one", STUBBORN, folder, 2)
    until(lambda: "ready" in service.log("one", folder).read_text())
    started("two", "import time; time.sleep(600)", folder, 1)
    started("one", "import time; time.sleep(600)", folder / "of-another", 1)
    service.stop("one", folder)
    assert service.processes("one", folder) == []
    assert service.names(folder) == {"two"}
    assert service.names(folder / "of-another") == {"one"}
    service.stop("one", folder / "of-another")
    service.stop("nothing", folder)


def test_what_outlives_its_first_process_is_still_found(folder: Path) -> None:
    first, *_ = started("one", STUBBORN, folder, 2)
    os.kill(first, signal.SIGKILL)
    until(lambda: first not in [process.pid for process in service.processes("one", folder)])
    assert service.names(folder) == {"one"}


def test_a_service_outlives_whoever_started_it_and_listens_to_ctrl_c(folder: Path) -> None:
    script = (
        "import signal, sys; from pathlib import Path; from flows.service import Service, start\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "code = 'import time; print(1234, flush=True); time.sleep(600)'\n"
        "start(Service('one', ('python', '-c', code)), Path(sys.argv[1]))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True)
    until(lambda: "1234" in service.log("one", folder).read_text())
    (process,) = service.processes("one", folder)
    process.send_signal(signal.SIGINT)
    psutil.wait_procs([process], 30)
    assert service.processes("one", folder) == []
    assert "KeyboardInterrupt" in service.log("one", folder).read_text()
