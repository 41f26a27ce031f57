"""The main flow as workers run it: in a workspace of its own, joined by whoever asks for the same thing meanwhile.

prefect deploy --all            (prefect.yaml names this flow, and the step that lends the workspace)
"""

import importlib
import os
from functools import partial
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.budget import Budget
from flows.continual_tuning import ended, turns
from flows.flown import flown
from flows.summary import Outcome
from tasks.params import load
from tasks.planning.selection import Selection
from tasks.runner import sources
from tasks.versions.lineage import TRIGGER
from tasks.versions.shadow import SHADOW


@flow(name="continual-tuning", persist_result=False)
def deployed(
    selection: Selection = Selection(),  # noqa: B008 (frozen)
    *,
    accept_weak_teacher: bool = False,
    asked_by: str = "",
    budget: str | None = None,
    shadow: bool = False,
) -> State[list[Outcome]]:
    """Bring the selected stages up to date; "Joined" where a run that landed since this one was due did the same.

    So runs that pile up while a worker is away, or while one is at work, are answered by one. `asked_by` names the run
    of a trigger: `dopsd trigger watch` looks for it, and a version says that this started it.
    """
    os.environ.setdefault(TRIGGER, asked_by or f"the deployment, run {flow_run.name}")
    if shadow:
        os.environ[SHADOW] = "yes"
    root = Path()
    params = load(root)
    sources(params, root)
    if params.train.parent != "base":
        importlib.import_module("tasks.versions.registry").fetch(params.register.model, params.train.parent, root)
    fly = partial(turns, selection, Budget.of(budget), accept_weak_teacher=accept_weak_teacher)
    due = flow_run.scheduled_start_time.timestamp()
    summary = flown(root, selection, accept_weak_teacher=accept_weak_teacher, asked=due, fly=fly)
    state = ended(summary.outcomes)
    if summary.is_joined and state.is_completed():
        return Completed(name="Joined", message="another run did the same", data=summary.outcomes)
    return state
