"""What the Prefect server must know before the workers start: the pools, the deployments, and which runs are dead.

make_pools(); bury(); deploy(Path())            (for the server that PREFECT_API_URL names)
"""

import platform
import subprocess
import sys
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
from prefect.client.schemas.objects import State, StateType, WorkerStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from flows.deployments import FILE, check
from flows.machine import POOLS

_UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def make_pools() -> None:
    """Make the pools that are not there."""
    with get_client(sync_client=True) as server:
        for pool in POOLS:
            try:
                server.read_work_pool(pool)
            except ObjectNotFound:
                server.create_work_pool(WorkPoolCreate(name=pool, type="process"))


def bury() -> list[str]:
    """End the runs that no process works on any more, so that they hold no place; gives their names.

    Called while none of our workers is there; a pool that a worker of another machine serves is left alone.
    """
    with get_client(sync_client=True) as server:
        return [name for pool in POOLS if not _has_others(pool, server) for name in _buried(pool, server)]


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


def _buried(pool: str, server: SyncPrefectClient) -> list[str]:
    under_way = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)))
    runs = server.read_flow_runs(
        flow_run_filter=under_way, work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    )
    for run in runs:
        state: State[None] = Crashed(message="no process works on this run any more")
        server.set_flow_run_state(run.id, state, force=True)
    return [run.name for run in runs]
