"""A stage by itself, as another run sent it: what a worker of the pool `gpu` does, on whichever machine.

prefect deploy --all            (prefect.yaml names this flow, and the step that brings its commit)

Nothing is shared with who sent it but git's remote, DVC's remote, the MLflow server and the Prefect server.
"""

import os
import platform
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows import isolated
from flows.budget import Budget
from flows.rank import keep_rank
from flows.reproduction import MayPass, StageFailed, reproduce
from tasks.devices.job import refuse_too_small_a_host
from tasks.errands.baggage import send_outcome
from tasks.errands.errand import Errand, fetch, take_up
from tasks.params import load
from tasks.pipeline import stage
from tasks.planning.installation import POOL
from tasks.versions.parent import bring_parent
from tasks.workspaces.flight import going_on

PASSING = "MayPass"
"""Names the state of a run that failed for what may be over soon."""
_HOME = Path(__file__).parents[1]


def enter() -> dict[str, str]:
    """Serve as the pull step: this process goes on in a workspace of the errand's commit, brought by git if it must."""
    os.environ.pop(POOL, None)  # what was sent here is not sent on
    with get_client(sync_client=True) as server:
        said = server.read_flow_run(UUID(os.environ["PREFECT__FLOW_RUN_ID"])).parameters
    commit = said["errand"]["commit"]
    fetch(commit, _HOME)
    return isolated.enter(str(_HOME), commit)


@flow(name="stage", persist_result=False)
def sent_stage(errand: Errand) -> State[Any]:
    """Run one stage as it would run where it comes from, and leave the outcome in DVC's remote.

    Args:
        errand: What the run that sends it says of it; `dopsd` fills this in.
    """
    root, row = Path(), stage(errand.stage)
    keep_rank()
    take_up(errand, root)
    refuse_too_small_a_host([row], load(root))
    bring_parent(root)
    with going_on(root, errand.key):
        try:
            reproduce(row.name, Budget(), is_forced=errand.is_forced, is_upstream_stale=errand.is_upstream_stale)
        except StageFailed as failure:
            return failed(failure)
        send_outcome(row.name, root)
    return Completed(message=f"{row.name} ran on {platform.node()}")


def failed(failure: StageFailed) -> State[Any]:
    """Tell who waits how it ended here, and whether it may go well a little later."""
    name = PASSING if isinstance(failure, MayPass) else None
    return Failed(name=name, message=f"on {platform.node()}: {failure}")
