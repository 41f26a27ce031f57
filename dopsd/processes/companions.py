"""The other processes of a training on this machine: they come with the first one, take a GPU each, and go with it.

>>> with accompanied(training.processes, beside, job, training):
...     denoiser = family.load_denoiser(base, fastest())  # and train: the others do, too
"""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess

import torch
import torch.distributed as dist
from accelerate.state import AcceleratorState

from dopsd.processes import ranks
from dopsd.processes.termination import Terminated


@contextmanager
def accompanied(count: int, work: Callable[..., object], *about: object) -> Iterator[None]:
    """Be the first of `count` processes; the others do `work(*about)`, which must train what is trained within.

    Where one is enough, or a launcher has started them, nothing is done. Raises ValueError where GPUs are too few.
    """
    if count == 1 or ranks.world_size() > 1:
        yield
        return
    _refuse_too_many(count)
    _forget()
    with _environment(_meeting(count)):
        spawn = get_context("spawn")  # a fork would share what CUDA has begun
        others = [spawn.Process(target=_follow, args=(rank, work, about)) for rank in range(1, count)]
        for other in others:
            other.start()
        try:
            with _watched(others):
                yield
            _part()
        except Terminated:
            _part()
            raise
        finally:
            for other in others:  # what is to be kept, the first has written
                other.kill()
                other.join()


def _follow(rank: int, work: Callable[..., object], about: Sequence[object]) -> None:
    """Do the work as one of the others; how it ends is for the first to tell."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    with suppress(FloatingPointError, Terminated):
        work(*about)
    _part()


def _part() -> None:
    """Leave when all do."""
    ranks.wait()
    dist.destroy_process_group()
    _forget()


def _forget() -> None:
    """Let accelerate, which keeps one state a process, look anew at who is there: what is trained next may be alone."""
    AcceleratorState._reset_state(reset_partial_state=True)


@contextmanager
def _watched(others: Sequence[SpawnProcess]) -> Iterator[None]:
    """End this process where another one fails: it may be deep in waiting for what will not come."""
    is_over = threading.Event()

    def watch() -> None:
        """Wait for the first that ends; a training that is killed goes on from its checkpoint, so this one may be."""
        ready = connection.wait([other.sentinel for other in others])
        ended = [other for other in others if other.sentinel in ready]
        for other in ended:
            other.join()
        if not is_over.is_set() and any(other.exitcode for other in ended):
            print("train: one of its processes failed, as told above; this one ends, too", file=sys.stderr, flush=True)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def _meeting(count: int) -> Mapping[str, str]:
    """Say to the first process, in the words of torchrun, who it is and where the others find it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // count)))
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": threads}
    return place | {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "RANK": "0", "LOCAL_RANK": "0"}


@contextmanager
def _environment(said: Mapping[str, str]) -> Iterator[None]:
    """Say it to this process and those it starts; take it back afterwards."""
    before = {name: os.environ.get(name) for name in said}
    os.environ |= said
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            os.environ |= {name: value} if value is not None else {}


def _refuse_too_many(count: int) -> None:
    if torch.cuda.is_available() and count > torch.cuda.device_count():
        raise ValueError(
            f"train.processes is {count} and this machine has {torch.cuda.device_count()} GPUs: give no more"
        )
