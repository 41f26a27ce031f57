"""The run that made a version: itself, or one that stands in for it where the store that had it is gone.

>>> found("dopsd", "9f3a0c...")

MLflow chooses the ids of runs: which one a run stands for, its tag says.
"""

from pathlib import Path

from tasks import tracking
from tasks.params import Params

STANDS_FOR = "stands_for"


def found(model: str, run_id: str) -> str | None:
    """Find the run, or its stand-in; None where the store has neither."""
    store = tracking.connect()
    if tracking.has_run(store, run_id):
        return run_id
    asked = f"tags.{STANDS_FOR} = '{run_id}' and attributes.status = 'FINISHED'"
    known = store.get_experiment_by_name(model)
    runs = store.search_runs([known.experiment_id], asked) if known else []
    return str(runs[0].info.run_id) if runs else None


def begun(params: Params, run_id: str, curves: Path) -> str:
    """Let a new run stand in: the same params, and the curves that training wrote down."""
    store = tracking.connect()
    stand_in = tracking.new_run(store, params)
    tracking.set_tag(stand_in, STANDS_FOR, run_id)
    tracking.log_curves(stand_in, curves)
    store.set_terminated(stand_in)
    return stand_in
