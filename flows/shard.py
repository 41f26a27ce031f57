"""A shard of a stage's entries, as the main flow asks for it: what a worker of the pool `gpu` does.

prefect deploy --all            (prefect.yaml names this flow, and the step that brings its commit)

It fills the store that all runs of this clone share, and writes nothing else: however it ends, what it made is found.
Where who asks keeps another store, it sends that what it made.
"""

import platform
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.errand import failed
from flows.rank import keep_rank
from flows.reproduction import GaveWay, MayPass, StageFailed, child, environment, kind_of_failure
from tasks.devices.job import refuse_too_small_a_host
from tasks.errands.errand import Errand, take_up
from tasks.errands.parcel import send, wanted
from tasks.folders import write_json
from tasks.params import load
from tasks.passing import note, reason
from tasks.pipeline import stage
from tasks.runner import RUNS
from tasks.stores.shard import Shard


@flow(name="shard", persist_result=False)
def shard(errand: Errand, number: int, of: int, store: str | None = None, parcel: str | None = None) -> State[Any]:
    """Make one shard of a stage's entries; the run that waits for it joins them.

    Args:
        errand: What that run says of the stage; it fills this in.
        number: Which shard, from 1 on.
        of: How many there are.
        store: The folder of that run's store, where this worker must share it.
        parcel: Where it need not: what that run called its parcels in DVC's remote.
    """
    root, mine = Path(), Shard(number, of)
    keep_rank()
    take_up(errand, root)
    if parcel is None and (errand.host, store) != (platform.node(), store_of(root)):
        raise ValueError(
            f"{platform.node()} keeps what it makes in {store_of(root)}, and {errand.host} looks for it in {store}: "
            "shards are for workers of the host and clone that plan, unless its deployment says `pool`"
        )
    refuse_too_small_a_host([stage(errand.stage)], load(root))
    try:
        if parcel is not None:
            mine = replace(mine, among=frozenset(chain(*wanted(parcel, root).values())))
        while not filled(errand.stage, mine):
            pass
        if parcel is not None:
            send(parcel, mine, root)
    except StageFailed as failure:
        return failed(failure)
    except OSError as error:
        return failed(MayPass(f"{mine} was not sent: {error}"))
    return Completed(message=f"{errand.stage}, {mine}, ran on {platform.node()}")


def store_of(root: Path) -> str:
    """Say where a workspace keeps what was computed for single images."""
    return str((root / RUNS / "store").resolve())


def filled(name: str, mine: Shard) -> bool:
    """Fill it in a process of its own; False where that gave its device to somebody else, and is to have another turn.

    Raises StageFailed, and MayPass where it may go well a little later: also where it was killed.
    """
    note(RUNS / name, None)
    command = ["shard", name, "--number", str(mine.number), "--of", str(mine.of)]
    if mine.among is not None:
        write_json(among := RUNS / name / "among.json", {name: sorted(mine.among)})
        command += ["--among", str(among)]
    ours = environment(is_upstream_stale=False)
    with child([sys.executable, "-m", "tasks.process", "tasks", *command], ours) as process:
        code = process.wait()
    kind = MayPass if code < 0 else kind_of_failure(name)
    if code != 0 and kind is not GaveWay:
        raise kind(f"{name}, {mine}, failed: {reason(RUNS / name) or f'it ended with {code}'}")
    return code == 0
