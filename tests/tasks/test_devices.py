"""A device has one holder at a time, whatever dies; whoever waits has his turn, the urgent ones first."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.devices import lease
from tasks.devices.host import Device, devices
from tasks.devices.job import devices_for, refuse_too_small_a_host
from tasks.devices.lease import Need, fit, holder, leased
from tasks.devices.place import Priority
from tasks.params import parse
from tasks.pipeline import STAGES, stage
from tests.fake_workspace import PARAMS
from tests.served import until

SMALL, LARGE = Device("small", 24), Device("large", 80)
JOB = """
import sys, time
from tasks.devices import lease
from tasks.devices.host import devices
from tasks.devices.lease import Need

lease._LOOK_AGAIN_S = 0.02
need, told, seconds = eval(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with lease.leased(need, devices()) as mine, open(told, "ab", buffering=0) as file:
    file.write("".join(f"{need.what} has {device.name}\\n" for device in mine).encode())
    time.sleep(seconds)
    file.write("".join(f"{need.what} leaves {device.name}\\n" for device in mine).encode())
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOPSD_LEASES", str(tmp_path / "leases"))
    monkeypatch.setenv("DOPSD_DEVICES", "small:24,large:80")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(lease, "_LOOK_AGAIN_S", 0.01)
    return tmp_path


@contextmanager
def started(need: Need, told: Path, seconds: float = 0.0) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-S", "-c", JOB, repr(need), str(told), str(seconds)]) as process:
        try:
            yield process
        finally:
            process.wait(60)


def in_line(told: Path, count: int) -> None:
    """Wait until so many stand in line."""
    until(lambda: len(list((told.parent / "leases").glob("waiting-*"))) == count)


def lines(told: Path) -> list[list[str]]:
    return [line.split() for line in told.read_text().splitlines()]


def test_twenty_jobs_share_two_devices_and_never_one_at_a_time(folder: Path) -> None:
    told = folder / "told"
    kinds: list[dict[str, Any]] = [{}, {"memory_gib": 40}, {"count": 2}, {"priority": "urgent"}, {}]
    with ExitStack() as running:
        for number in range(20):
            running.enter_context(started(Need(f"job-{number}", **kinds[number % 5]), told, 0.005))
    held: dict[str, str] = {}
    for name, word, device in lines(told):
        assert held.pop(device, None) == (name if word == "leaves" else None)
        held |= {device: name} if word == "has" else {}
    assert held == {}
    assert {name for name, _, _ in lines(told)} == {f"job-{number}" for number in range(20)}
    assert {device for name, _, device in lines(told) if int(name[4:]) % 5 == 1} == {"large"}


def test_the_urgent_ones_come_first_and_among_equals_who_came_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOPSD_DEVICES", "small:24")
    wanted: list[Priority] = ["background", "normal", "urgent", "normal"]
    with ExitStack() as running, leased(Need("first"), [SMALL]):
        for number, priority in enumerate(wanted):
            running.enter_context(started(Need(f"{number}", priority=priority), folder / "told"))
            in_line(folder / "told", number + 1)
    assert "".join(name for name, word, _ in lines(folder / "told") if word == "has") == "2130"


def test_a_job_for_two_is_not_overtaken_by_one_for_one(folder: Path) -> None:
    told = folder / "told"
    with ExitStack() as running, leased(Need("first", memory_gib=40), [SMALL, LARGE]):
        for number, count in enumerate((2, 1), start=1):
            running.enter_context(started(Need(f"for-{count}", count=count), told))
            in_line(told, number)
        assert holder(SMALL) is None
    assert [name for name, _, _ in lines(told)] == ["for-2"] * 4 + ["for-1"] * 2


def test_a_holder_and_a_waiter_that_are_killed_hold_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOPSD_DEVICES", "small:24")
    told = folder / "told"
    with started(Need("dies"), told, 600) as dies:
        until(told.exists)
        assert holder(SMALL) == f"process {dies.pid}, normal, dies"
        with started(Need("waits", priority="urgent"), told) as waits:
            in_line(told, 1)
            waits.kill()
        dies.kill()
    with leased(Need("next"), [SMALL]) as mine:
        assert mine == (SMALL,)
    assert list((folder / "leases").glob("waiting-*")) == []


def test_the_smallest_that_fits_is_taken_and_what_never_fits_is_refused_with_numbers() -> None:
    host = [LARGE, SMALL]
    with leased(Need("a"), host) as first, leased(Need("b"), host) as second:
        assert (first, second) == ((SMALL,), (LARGE,))
    assert fit(Need("c", memory_gib=24.5), host) == (LARGE,)
    with pytest.raises(ValueError) as refused:
        fit(Need("train", memory_gib=40, count=2), host)
    assert str(refused.value).startswith(
        "train needs 2 devices at once of 40 GiB, and this host has small of 24 GiB, large of 80 GiB: ask for less"
    )


def test_nobody_waits_for_nothing() -> None:
    with pytest.raises(ValueError, match="nothing asks for 0 devices: ask for one at least"):
        Need("nothing", count=0)


def test_the_driver_is_asked_by_uuid_and_what_the_user_hides_stays_hidden(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = folder / "nvidia-smi"
    monkeypatch.delenv("DOPSD_DEVICES")
    monkeypatch.setenv("PATH", str(folder))
    assert devices() == ()
    program.write_text("#!/bin/sh\necho '0, GPU-a, 24564'\necho '1, GPU-b, 81559'\n")
    program.chmod(0o755)
    assert devices() == (Device("GPU-a", 24), Device("GPU-b", 80))
    for visible, names in (("1", ["GPU-b"]), ("GPU-b,GPU-a", ["GPU-a", "GPU-b"]), ("", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert [device.name for device in devices()] == names
    program.write_text("#!/bin/sh\necho 'Failed to initialize NVML'; exit 18\n")
    assert devices() == ()


@pytest.mark.parametrize("said", ["0", "0:many", ":24", "0:-1", "0:nan", "0:24,0:24"])
def test_devices_that_are_said_wrongly_are_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOPSD_DEVICES", said)
    with pytest.raises(ValueError, match="DOPSD_DEVICES is"):
        devices()


def test_a_stage_sees_the_device_that_it_holds_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parse(PARAMS | {"machine": {"memory_gib": {"train": 40}}})
    with devices_for(stage("train"), params):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "large"
        assert (holder(SMALL), holder(LARGE)) == (None, f"process {os.getpid()}, normal (gives way), train")
        with devices_for(stage("train"), params):  # a program that we start has what we hold
            pass
    with devices_for(stage("ingest"), params), devices_for(stage("probe"), params):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "small"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_without_gpus_the_cpu_serves_those_that_ask_for_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOPSD_DEVICES", "")
    params = parse(PARAMS | {"machine": {"memory_gib": {"train": 40}}})
    with devices_for(stage("embed"), params):
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
    refuse_too_small_a_host([stage("embed"), stage("register")], params)
    with pytest.raises(ValueError, match="train needs one device of 40 GiB, and this host has no device"):
        refuse_too_small_a_host(STAGES, params)


def test_what_a_stage_needs_of_the_machine_makes_nothing_stale() -> None:
    assert not [key for row in STAGES for key in row.params if key.startswith("machine")]
    with pytest.raises(ValueError, match=r"machine.memory_gib.*ingest is no stage that needs a GPU; there are"):
        parse(PARAMS | {"machine": {"memory_gib": {"ingest": 1}}})


def test_a_device_is_lent_to_any_program(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [sys.executable, "-m", "tasks.devices"]
    lent = [*said, "--memory-gib", "40", "sh", "-c", f"{' '.join(said)}; echo $CUDA_VISIBLE_DEVICES; exit 3"]
    done = subprocess.run(lent, capture_output=True, text=True, check=False)
    small, large, visible = done.stdout.splitlines()
    assert (small, visible, done.returncode) == ("small  24 GiB  free", "large", 3)
    assert large.startswith("large  80 GiB  process ")
    monkeypatch.setenv("DOPSD_PRIORITY", "very")
    done = subprocess.run([*said, "true"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1, "DOPSD_PRIORITY is 'very': choose one of urgent, normal, background\n",
    )  # fmt: skip
