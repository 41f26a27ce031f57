"""Divide a stage that works image by image among runs of the deployment `shard`; the stage then finds all they made.

divide(stage("embed"), Count(100_000, 0), Budget())        (machine.images_per_shard of params.yaml says how finely)
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from uuid import UUID

from prefect.context import FlowRunContext

from flows.assigned import ask_to_end, begun, ended, failure_of, under_way
from flows.budget import Budget, OutOfTime
from flows.mistakes import told
from flows.reproduction import MayPass, StageFailed
from flows.shard import store_of
from tasks.errands.errand import Errand, errand
from tasks.params import Params, load
from tasks.pipeline import Stage
from tasks.planning.count import Count
from tasks.planning.installation import pool

DEPLOYMENT = "shard/shard"
_TIMES = 4
"""So often a shard is begun at most."""
_LOOK_S = 2.0
_BEFORE = 0
"""Numbers what a run left that died while it waited: nobody knows how that was divided."""


def has_shards(params: Params) -> bool:
    """Tell whether params.yaml wants large datasets divided; a stage that is sent elsewhere is sent whole."""
    return params.machine.images_per_shard is not None and pool() is None


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
    """Have shards make what is missing of `images`, where that is more than one of them is for.

    Raises ValueError where no worker could have what lies here, StageFailed as the first shard that failed does, and
    OutOfTime; those under way are then asked to end. What was made stays, and the next time that much less is missing.
    """
    params = load(Path())
    size = params.machine.images_per_shard
    if images is None or size is None or pool() is not None or images.computed <= size:
        return
    of, at_once = math.ceil(images.computed / size), params.machine.shards_at_once
    told.print(f"  {stage.name}: {images} images in {of} shards, {at_once} at a time")
    asked = errand(stage, Path(), is_forced=False, is_upstream_stale=False)
    _work_off(of, at_once, partial(_begun, asked, params.register.model, of), under_way(_tag(asked)), budget)


def _begun(asked: Errand, project: str, of: int, number: int) -> UUID:
    parameters = {"errand": asdict(asked), "number": number, "of": of, "store": store_of(Path())}
    return begun(DEPLOYMENT, parameters, f"{project}, {asked.stage}, {number} of {of}", _tag(asked)).id


def _tag(asked: Errand) -> str:
    return f"shards of {asked.key}"


def _work_off(of: int, at_once: int, begin: Callable[[int], UUID], left: list[UUID], budget: Budget) -> None:
    """Have every shard made, so many at a time; those that an earlier run `left` under way end before."""
    waiting, times, runs = deque(range(1, of + 1)), Counter[int](), dict.fromkeys(left, _BEFORE)
    try:
        while waiting or runs:
            while waiting and len(runs) < at_once and _BEFORE not in runs.values():
                number = waiting.popleft()
                times[number] += 1
                runs[begin(number)] = number
            time.sleep(_LOOK_S)
            for run, number in [(run, runs.pop(run.id)) for run in ended(runs)]:
                if number != _BEFORE and (failure := failure_of(run)):
                    waiting.append(_again(number, times[number], failure))
            if budget.left() <= 0:
                raise OutOfTime("the shards under way were asked to end, as the budget does")
    finally:
        for one in runs:
            ask_to_end(one)


def _again(number: int, times: int, failure: StageFailed) -> int:
    """Let a shard have another turn for what may go well then; raises what may not, or did not time after time."""
    if not isinstance(failure, MayPass) or times == _TIMES:
        raise StageFailed(str(failure))
    told.print(f"  {failure}; it is begun again", soft_wrap=True)
    return number
