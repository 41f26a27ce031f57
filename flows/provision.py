"""What the Prefect server must know before the workers start: the pools, the deployments, and which runs are dead.

make_pools(); bury(set(), set()); deploy(Path())            (for the server that PREFECT_API_URL names)
"""

import platform
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, WorkerStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from flows.deployments import FILE, check
from flows.machine import POOLS, QUEUES

_UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def make_pools() -> None:
    """Make the pools that are not there, and the queues in them."""
    with get_client(sync_client=True) as server:
        for pool in POOLS:
            try:
                server.read_work_pool(pool)
            except ObjectNotFound:
                server.create_work_pool(WorkPoolCreate(name=pool, type="process"))
            there = {queue.name for queue in server.read_work_queues(work_pool_name=pool)}
            for name in [name for name in QUEUES if name not in there]:
                server.create_work_queue(name, work_pool_name=pool, priority=QUEUES[name])


def bury(alive: Collection[int], served: Collection[str]) -> list[str]:
    """End the runs that no process works on any more, so that they hold no place; gives their names.

    `alive` are the processes of our workers and their runs, `served` the pools where a worker of ours may be about to
    begin one. A pool that a worker of another machine serves is left alone.
    """
    with get_client(sync_client=True) as server:
        made = {pool.name for pool in server.read_work_pools()}  # `dopsd up` may have ended before it made them
        pools = [pool for pool in POOLS if pool in made and not _has_others(pool, server)]
        return [name for pool in pools for name in _buried(pool, server, alive, is_served=pool in served)]


def deploy(root: Path) -> None:
    """Deploy all that prefect.yaml says; raises ValueError naming the key that is wrong there."""
    check(root)
    command = [sys.executable, "-m", "tasks.environment", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run([*command, "--prefect-file", FILE], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"{FILE} cannot be deployed: {done.stdout.strip()[-2000:]}{done.stderr.strip()[-2000:]}")


def _has_others(pool: str, server: SyncPrefectClient) -> bool:
    """Tell whether a worker of another machine serves the pool."""
    online = (row for row in server.read_workers_for_work_pool(pool) if row.status == WorkerStatus.ONLINE)
    return any(not row.name.startswith(f"{platform.node()}-") for row in online)


def _buried(pool: str, server: SyncPrefectClient, alive: Collection[int], *, is_served: bool) -> list[str]:
    under_way = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)))
    runs = server.read_flow_runs(
        flow_run_filter=under_way, work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    )
    dead = [run for run in runs if not _is_alive(run, alive, is_served=is_served)]
    for run in dead:
        state: State[None] = Crashed(message="no process works on this run any more")
        server.set_flow_run_state(run.id, state, force=True)
    return [run.name for run in dead]


def _is_alive(run: FlowRun, alive: Collection[int], *, is_served: bool) -> bool:
    """Look for its process; a run that has none yet is its worker's to begin."""
    if run.infrastructure_pid is None:
        return is_served
    return int(run.infrastructure_pid.rpartition(":")[2]) in alive
