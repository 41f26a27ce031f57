"""Send a stage to a worker of the pool `gpu`, and bring its outcome into DVC's cache here: `dvc repro` then is a hit.

send(stage("train"), Budget(), is_forced=False, is_upstream_stale=False)        (DOPSD_POOL says that stages are sent)

Whoever asks for the same while it is under way waits for the same run.
"""

import time
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

from flows.assigned import ask_to_end, begun, ended, failure_of, under_way
from flows.budget import Budget, OutOfTime
from flows.mistakes import told
from flows.reproduction import MayPass, StageFailed
from tasks.errands import baggage
from tasks.errands.errand import Errand, errand
from tasks.params import load
from tasks.pipeline import Stage

DEPLOYMENT = "stage/stage"
_LOOK_S = 2.0


def send(stage: Stage, budget: Budget, *, is_forced: bool, is_upstream_stale: bool) -> None:
    """Let a worker run the stage as the current folder is now; what it wrote is in DVC's cache afterwards.

    Raises ValueError where nobody elsewhere could run it, StageFailed or MayPass as it ended there, and OutOfTime
    where the budget did; the worker then is asked to end.
    """
    root = Path()
    asked = errand(stage, root, is_forced=is_forced, is_upstream_stale=is_upstream_stale)
    if not is_forced and baggage.bring_outcome(stage.name, root):
        return
    try:
        baggage.send(stage.name, root)
        _wait(_under_way(asked) or _begun(asked, load(root).register.model), budget)
        has_come = baggage.bring_outcome(stage.name, root)
    except ConnectionError as failure:
        raise MayPass(str(failure)) from failure
    if not has_come:
        raise StageFailed(f"what {stage.name} made is not in DVC's remote: look there, and run again")


def _under_way(asked: Errand) -> UUID | None:
    """Find a run that does the same and has not ended."""
    return next(iter(under_way(asked.key)), None)


def _begun(asked: Errand, project: str) -> UUID:
    """Have a run made for it."""
    run = begun(DEPLOYMENT, {"errand": asdict(asked)}, f"{project}, {asked.stage}", tag=asked.key)
    told.print(f"  {asked.stage}: sent to the pool gpu as the run {run.name}", soft_wrap=True)
    return run.id


def _wait(run: UUID, budget: Budget) -> None:
    """Look every two seconds how it is."""
    while not (found := ended([run])):
        if budget.left() <= 0:
            ask_to_end(run)
            raise OutOfTime("what was sent was asked to end, as the budget does")
        time.sleep(_LOOK_S)
    if failure := failure_of(found[0]):
        raise failure
