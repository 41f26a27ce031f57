"""A machine with a GPU dies in training, and another one goes on where it was.

The machines share git's remote, DVC's remote, a Prefect server and an MLflow server, and no folder.
"""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.runner import history
from tests.fake_workspace import HANG
from tests.machines import MAIN, SENT, WHILE_S, lose_power, machines
from tests.served import until

pytestmark = pytest.mark.slow  # minutes of processes, and of waiting for a heart that is heard no more


def test_a_run_whose_gpu_host_loses_power_in_training_ends_as_one_that_was_not_disturbed(tmp_path: Path) -> None:
    with machines(tmp_path) as made:
        top, begun = made.top, made.top / "begun"
        made.worker("cpu")
        lost = made.worker("gpu", **{HANG: f"tracked:{begun}"})
        made.typed("cpu", "prefect", "deployment", "run", MAIN)
        until(begun.exists, WHILE_S)
        lose_power(lost)
        made.worker("gpu")
        until(lambda: made.states("dopsd, the deployment") == ["Completed"], WHILE_S)
        assert made.states("dopsd, train") == ["Completed", "Crashed"]
        assert [row["stage"] for row in history(top / "cpu")] == ["ingest", "register"]
        assert [row["stage"] for row in history(top / "gpu")] == SENT
        store = MlflowClient(made.servers.mlflow)
        (run,) = store.search_runs([row.experiment_id for row in store.search_experiments()])
        (version,) = (one for one in store.search_model_versions() if one.run_id)  # the base has none
        assert (run.info.status, version.run_id) == ("FINISHED", run.info.run_id)
        alone = f"sqlite:///{top / 'undisturbed/mlflow.db'}"
        made.typed("undisturbed", "dvc", "repro", "train", MLFLOW_TRACKING_URI=alone)
        assert made.adapter("cpu/runs/recorded/dopsd/dvc.lock") == made.adapter("undisturbed/dvc.lock")
