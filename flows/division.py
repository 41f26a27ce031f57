"""Divide a stage that works image by image among runs of the deployment `shard`; the stage then finds all they made.

divide(stage("embed"), Count(100_000, 0), Budget())        (machine.images_per_shard of params.yaml says how finely)

Workers beside us fill the store that lies here. Where stages are sent to machines that share no disk, they are told
what is lacking here, and send it.
"""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from uuid import UUID

from prefect.context import FlowRunContext

from flows.assigned import begun, under_way
from flows.budget import Budget
from flows.mistakes import told
from flows.reproduction import MayPass, StageFailed, environment
from flows.shard import store_of
from flows.working_off import work_off
from tasks.errands import baggage, parcel
from tasks.errands.errand import Errand, errand
from tasks.params import Params, load
from tasks.pipeline import Stage
from tasks.planning.count import Count
from tasks.planning.installation import pool
from tasks.stores.shard import Shard

DEPLOYMENT = "shard/shard"
Arrived = Callable[[int], StageFailed | None]


def has_shards(params: Params) -> bool:
    """Tell whether params.yaml wants large datasets divided."""
    return params.machine.images_per_shard is not None


def refuse_to_wait_for_itself(params: Params) -> None:
    """Raise ValueError where shards would stand in line behind the run that waits for them."""
    context = FlowRunContext.get()
    at = context.flow_run.work_pool_name if context and context.flow_run else None
    if has_shards(params) and at == "gpu":
        raise ValueError(
            "machine.images_per_shard divides work among the workers of the pool gpu, and this run keeps one of them "
            "from it: let its deployment say `work_pool: {name: cpu}`"
        )


def divide(stage: Stage, images: Count | None, budget: Budget) -> None:
    """Have shards make what is missing of `images`, where that is more than one of them is for, or no work for here.

    Raises ValueError where no worker could have what lies here, StageFailed as the first shard that failed does,
    MayPass where something was lost on its way, and OutOfTime; those under way are then asked to end. What was made
    stays, and the next time that much less is missing.
    """
    size = load(Path()).machine.images_per_shard
    if images is None or size is None:
        return
    if pool() is not None:
        _divide_among_machines(stage, size, budget)
    elif images.computed > size:
        _have_made(_asked(stage), math.ceil(images.computed / size), budget, store=store_of(Path()))


def _divide_among_machines(stage: Stage, size: int, budget: Budget) -> None:
    """Have made elsewhere whatever lacks here."""
    root, lacking = Path(), _lacking(stage)
    if not lacking:
        return
    asked, of = _asked(stage), math.ceil(max(len(keys) for keys in lacking.values()) / size)
    try:
        baggage.send(stage.name, root)
        name = parcel.ask(lacking, root)
    except OSError as failure:
        raise MayPass(f"DVC's remote: {failure}") from failure
    try:
        _have_made(asked, of, budget, partial(_arrived, name, of), parcel=name)
    finally:
        with suppress(OSError):  # what stays there, `dopsd gc apply --remote` removes
            parcel.forget(name, root)
    if _lacking(stage):
        raise MayPass(f"not all that the shards of {stage.name} sent came here")


def _asked(stage: Stage) -> Errand:
    return errand(stage, Path(), is_forced=False, is_upstream_stale=False)


def _have_made(asked: Errand, of: int, budget: Budget, *arrived: Arrived, **where: str) -> None:
    """Have every shard made; those that an earlier run left under way end before, as nobody knows how that divided."""
    params = load(Path())
    at_once = params.machine.shards_at_once
    told.print(f"  {asked.stage}: {of} shards, {at_once} at a time")
    begin = partial(_begun, asked, params.register.model, of, where)
    work_off(of, at_once, begin, under_way(_tag(asked)), budget, *arrived)


def _lacking(stage: Stage) -> dict[str, list[str]]:
    """Ask in a process of its own, as the stage itself would run."""
    command = [sys.executable, "-m", "tasks.process", "tasks", "lacking", stage.name]
    ours = environment(is_upstream_stale=False)
    done = subprocess.run(command, env=ours, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise StageFailed(f"nobody can tell what {stage.name} lacks; `python -m tasks lacking {stage.name}` says why")
    return {kind: keys for kind, keys in json.loads(done.stdout).items() if keys}


def _arrived(name: str, of: int, number: int) -> StageFailed | None:
    """Take a shard's parcel in; gives why that was not to be had."""
    try:
        parcel.unpack(name, Shard(number, of), Path())
    except ConnectionError as error:
        return MayPass(str(error))
    return None


def _begun(asked: Errand, project: str, of: int, where: Mapping[str, str], number: int) -> UUID:
    parameters = {"errand": asdict(asked), "number": number, "of": of, **where}
    return begun(DEPLOYMENT, parameters, f"{project}, {asked.stage}, {number} of {of}", _tag(asked)).id


def _tag(asked: Errand) -> str:
    return f"shards of {asked.key}"
