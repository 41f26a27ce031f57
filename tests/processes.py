"""Processes that do the same work together, as torchrun would start them; as forks, which need not import all again.

>>> assert among(2, trained, models, examples, training, run) == [0, 0]
"""

import multiprocessing
import os
import socket
from collections.abc import Callable

from accelerate.state import AcceleratorState

FORK = multiprocessing.get_context("fork")


def among(count: int, work: Callable[..., object], *about: object) -> list[int | None]:
    """Let so many processes do `work(*about)`; give how they ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free.getsockname()[1]}

    def begin(rank: int) -> None:
        """Say to one of them who it is."""
        AcceleratorState._reset_state(reset_partial_state=True)
        said = meeting | {"RANK": rank, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
        os.environ |= {name: str(value) for name, value in said.items()}
        work(*about)

    children = [FORK.Process(target=begin, args=(rank,)) for rank in range(count)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children]
