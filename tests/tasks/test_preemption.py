"""Who holds a device for something less urgent gives way where that helps, if it can go on later, and nobody else."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dopsd.processes.termination import EXIT_CODE, AskedToEnd, Terminated, heard
from tasks.devices import lease
from tasks.devices.host import Device
from tasks.devices.lease import Need, holder, leased
from tasks.devices.place import device_lock, in_line
from tasks.devices.preemption import ask
from tasks.lock import held_if_free
from tasks.passing import was_asked_to_end
from tests.fake_workspace import HANG, FakeWorkspace

ONE, OTHER = Device("one", 24), Device("other", 24)
JOB = """
import sys, time
from dopsd.processes.termination import heard
from tasks.devices.host import Device
from tasks.devices.lease import Need, leased

with heard(), leased(eval(sys.argv[1]), [eval(sys.argv[2])]):
    print("holds", flush=True)
    time.sleep(600)
"""
Job = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOPSD_LEASES", str(tmp_path / "leases"))
    monkeypatch.setattr(lease, "_LOOK_AGAIN_S", 0.01)
    return tmp_path


@pytest.fixture
def held() -> Iterator[Callable[[Need, Device], Job]]:
    """Start processes that hold a device until they are asked to end."""
    started: list[Job] = []

    def start(need: Need, device: Device) -> Job:
        command = [sys.executable, "-S", "-c", JOB, repr(need), repr(device)]
        root = str(Path(__file__).parents[2])
        job = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root})
        started.append(job)
        assert job.stdout is not None
        assert job.stdout.readline() == "holds\n"
        return job

    yield start
    for job in started:
        job.kill()
        job.communicate()


@contextmanager
def waiting(need: Need, *devices: Device, asked: set[int] | None = None) -> Iterator[set[int]]:
    """Stand in line and ask once; gives the processes that were asked."""
    told, names = set() if asked is None else asked, [device.name for device in devices]
    with in_line(need.priority, names) as place:
        ask(place, need.priority, need.count, names, told)
        yield told


def test_who_is_less_urgent_saves_and_the_urgent_one_has_the_device(held: Callable[[Need, Device], Job]) -> None:
    train = held(Need("train", gives_way=True), ONE)
    with leased(Need("urgent", priority="urgent"), [ONE]):
        assert train.wait(60) == EXIT_CODE


@pytest.mark.parametrize(
    "need",
    [Need("equal", priority="urgent", gives_way=True), Need("would lose its work"), Need("background (gives way), ")],
    ids=lambda need: need.what,
)
def test_nobody_else_is_asked(need: Need, held: Callable[[Need, Device], Job]) -> None:
    job = held(need, ONE)
    with waiting(Need("urgent", priority="urgent"), ONE) as asked:
        assert asked == set()
    assert holder(ONE) == f"process {job.pid}, {need.priority}{' (gives way)' * need.gives_way}, {need.what}"


def test_no_more_are_asked_than_it_takes_and_the_least_urgent_first(held: Callable[[Need, Device], Job]) -> None:
    held(Need("normal", gives_way=True), ONE)
    background = held(Need("background", priority="background", gives_way=True), OTHER)
    with waiting(Need("urgent", priority="urgent"), ONE, OTHER) as asked:
        assert asked == {background.pid}
    with waiting(Need("urgent", priority="urgent"), ONE, OTHER, asked=asked):
        assert asked == {background.pid}  # it may still be saving
    assert holder(ONE) is not None


def test_for_two_devices_two_are_asked_and_nobody_where_one_of_them_stays(held: Callable[[Need, Device], Job]) -> None:
    both = Need("urgent", count=2, priority="urgent")
    first = held(Need("first", gives_way=True), ONE)
    stays = held(Need("stays", priority="urgent"), OTHER)
    with waiting(both, ONE, OTHER) as asked:
        assert asked == set()
    stays.kill()
    stays.wait()
    with waiting(both, ONE, OTHER) as asked:  # the other is free by now
        assert asked == {first.pid}


def test_where_a_device_is_free_nobody_is_asked(held: Callable[[Need, Device], Job]) -> None:
    held(Need("train", gives_way=True), ONE)
    with waiting(Need("urgent", priority="urgent"), ONE, OTHER) as asked:
        assert asked == set()


def test_what_somebody_before_us_will_have_he_asks_for_himself(held: Callable[[Need, Device], Job]) -> None:
    held(Need("train", gives_way=True), ONE)
    with in_line("urgent", ["one"]), waiting(Need("urgent", priority="urgent"), ONE) as asked:
        assert asked == set()


def test_a_number_that_is_another_process_here_is_let_alone() -> None:
    with (
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"]) as stranger,
        held_if_free(device_lock("one"), f"process {stranger.pid}, background (gives way), of another container"),
    ):
        with waiting(Need("urgent", priority="urgent"), ONE) as asked:
            assert asked == set()
        assert stranger.poll() is None
        stranger.kill()


def test_who_is_asked_before_anything_is_saved_does_not_say_that_it_was() -> None:
    with pytest.raises(AskedToEnd) as asked, heard():
        os.kill(os.getpid(), signal.SIGTERM)
    assert not isinstance(asked.value, Terminated)  # which other processes of a training would wait for


def test_a_stage_that_is_asked_ends_with_its_code_and_leaves_word(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = FakeWorkspace.at(folder / "workspace")
    (workspace.root / "data/images").mkdir(parents=True)
    monkeypatch.setenv("DOPSD_DEVICES", "one:24")
    monkeypatch.setenv(HANG, f"caption:{folder / 'begun'}")
    command = [sys.executable, str(Path(__file__).parents[1] / "fake_workspace.py"), "caption"]
    with subprocess.Popen(command, cwd=workspace.root) as stage:
        while not (folder / "begun").exists():
            assert stage.poll() is None
        with leased(Need("urgent", priority="urgent"), [ONE]):
            assert stage.wait(60) == EXIT_CODE
    assert was_asked_to_end(workspace.root / "runs/caption")
