"""The main flow as workers run it: in a workspace of its own, joined by whoever asks for the same thing meanwhile.

prefect deploy --all            (prefect.yaml names this flow, and the step that lends the workspace)
"""

import os
from functools import partial
from pathlib import Path
from typing import Literal

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from dopsd.recipe import Method
from flows.artifacts import leave, progress
from flows.budget import Budget
from flows.choices import choose
from flows.continual_tuning import ended, turns
from flows.division import refuse_to_wait_for_itself
from flows.flown import flown
from flows.rank import keep_rank
from flows.summary import Outcome
from tasks.devices.job import refuse_too_small_a_host
from tasks.params import PARAMS_FILE, load
from tasks.planning.installation import POOL
from tasks.planning.selection import Selection
from tasks.runner import sources
from tasks.versions.lineage import TRIGGER
from tasks.versions.parent import bring_parent
from tasks.versions.shadow import SHADOW


def _name() -> str:
    """Name a run by its project, what started it, and its dataset: "anime, new-images-0007, photos"."""
    said = flow_run.parameters
    project = str(said.get("project") or PARAMS_FILE)
    name = load(Path()).register.model if project == PARAMS_FILE else Path(project).stem
    names = [name, said.get("asked_by") or "the deployment", said.get("dataset")]
    return ", ".join(str(part) for part in names if part)


@flow(name="continual-tuning", flow_run_name=_name, persist_result=False)
def deployed(
    selection: Selection = Selection(),  # noqa: B008 (frozen)
    *,
    project: str = PARAMS_FILE,
    family: Literal["z-image", "flux2-klein"] | None = None,
    dataset: str | None = None,
    method: Method | None = None,
    parent: str | None = None,
    budget: str | None = None,
    pool: Literal["cuda", "cpu"] | None = None,
    shadow: bool = False,
    accept_weak_teacher: bool = False,
    asked_by: str = "",
) -> State[list[Outcome]]:
    """Bring the selected stages up to date; "Joined" where a run that landed since this one was due did the same.

    So runs that pile up while a worker is away, or while one is at work, are answered by one.

    Args:
        selection: Which stages have their turn; all of them, unless it says otherwise.
        project: The params file of the project, in the last commit; its register.model is the project's name.
        family: Another family than the project's: compare.families in its params file says which models that has.
        dataset: Another folder of images than the project's ingest.source.
        method: Another way to train than the project's train.method.
        parent: What to train on from, such as champion, base or v3, with old pictures mixed in as replay.share says;
            train.parent of the project, unless it says otherwise.
        budget: How long the run may take, such as 45m, 2h or 1d12h; it ends before, and the next one goes on.
        pool: Send stages that need a GPU to workers of the pool gpu, which compute with this, on whichever machine.
        shadow: Judge what comes of it, and promote nothing.
        accept_weak_teacher: Train though the probe advises against it.
        asked_by: The run of a trigger that `dopsd trigger watch` looks for; a version says that this started it.
    """
    os.environ.setdefault(TRIGGER, asked_by or f"the deployment, run {flow_run.name}")
    keep_rank()
    if shadow:
        os.environ[SHADOW] = "yes"
    if pool:
        os.environ[POOL] = pool
    root, spent = Path(), Budget.of(budget)
    choose(root, project=project, family=family, dataset=dataset, method=method, parent=parent)
    refuse_too_small_a_host(selection.chosen, load(root))
    refuse_to_wait_for_itself(load(root))
    sources(load(root), root)
    bring_parent(root)
    with progress(len(selection.upstream) + len(selection.chosen)) as heard:
        fly = partial(turns, selection, spent, accept_weak_teacher=accept_weak_teacher, heard=heard)
        due = flow_run.scheduled_start_time.timestamp()
        summary = flown(root, selection, accept_weak_teacher=accept_weak_teacher, asked=due, fly=fly)
    leave(summary)
    state = ended(summary.outcomes, selection)
    if summary.is_joined and state.is_completed():
        return Completed(name="Joined", message="another run did the same", data=summary.outcomes)
    return state
