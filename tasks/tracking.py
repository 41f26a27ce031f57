"""What MLflow remembers of training: one run an adapter, with its curves while they grow.

mlflow ui            (in the root; MLFLOW_TRACKING_URI wins over the default, sqlite:///mlflow.db)

with training_run(params, room.state) as run:
    run.log(step, {"loss": 0.1})
"""

import csv
import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import Any

from mlflow import MlflowClient, set_tracking_uri
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from PIL import Image

from tasks.environment import MLFLOW_STORE
from tasks.folders import read_json, sha256_of_json, write_json
from tasks.params import Params, resolved
from tasks.versions.dataset_source import DvcSource

_SQLITE = "sqlite:///"
_FLUSH_S = 2.0
_STATE = "mlflow_run.json"


class TrainingRun:
    """A run that takes points of curves; points it already has (training went back to a checkpoint) are left out."""

    def __init__(self, store: MlflowClient, run_id: str) -> None:
        self.id = run_id
        self._store = store
        self._last_steps = {key: _last_step(store, run_id, key) for key in store.get_run(run_id).data.metrics}
        self._waiting: list[Metric] = []
        self._flushed = time.monotonic()

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one point to each curve; they reach the store every two seconds."""
        now = int(time.time() * 1000)
        for key, value in metrics.items():
            if step > self._last_steps.get(key, -1):
                self._waiting.append(Metric(key, value, now, step))
        if time.monotonic() - self._flushed > _FLUSH_S:
            self.flush()

    def show(self, name: str, step: int, picture: Image.Image) -> None:
        """Add one picture to the series of its name, for the grid of the run's page."""
        self._store.log_image(self.id, picture, key=name, step=step)

    def tag(self, key: str, value: str) -> None:
        """Say something of the run as a whole."""
        self._store.set_tag(self.id, key, value)

    def flush(self) -> None:
        """Send what waits, in the portions that a store takes."""
        for start in range(0, len(self._waiting), 1000):
            self._store.log_batch(self.id, metrics=self._waiting[start : start + 1000])
        self._waiting, self._flushed = [], time.monotonic()


@contextmanager
def training_run(params: Params, state: Path) -> Iterator[TrainingRun]:
    """Open the run of this training: the one that was interrupted, if `state` knows it and the params are the same.

    It ends as FINISHED, or as FAILED when the block raises; after a kill it stays RUNNING until training goes on.
    """
    store = connect()
    run = TrainingRun(store, _interrupted(store, params, state) or _begun(store, params, state))
    try:
        yield run
    except BaseException:  # an interrupt too ends the run; it opens again when training goes on
        run.flush()
        store.set_terminated(run.id, RunStatus.to_string(RunStatus.FAILED))
        raise
    run.flush()
    store.set_terminated(run.id)


def connect() -> MlflowClient:
    """Open the store, for MLflow's own functions too; a fresh database is set up by one process, the others wait."""
    path = Path(MLFLOW_STORE).absolute()  # MLflow keeps stores by their address, also when the current folder changes
    uri = environ.get("MLFLOW_TRACKING_URI", f"{_SQLITE}{path}")
    set_tracking_uri(uri)
    if not uri.startswith(_SQLITE):
        return MlflowClient(uri, uri)
    path = Path(uri.removeprefix(_SQLITE))
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return MlflowClient(uri, uri)


def experiment(store: MlflowClient, name: str) -> str:
    """Find or make the experiment of a project; gives its id."""
    found = store.get_experiment_by_name(name)
    return found.experiment_id if found else store.create_experiment(name)


def new_run(store: MlflowClient, params: Params) -> str:
    """Begin a run that names what it trains, and how."""
    name = f"train {Path(params.ingest.source).name}"
    run = store.create_run(experiment(store, params.register.model), run_name=name)
    said = [Param(key, str(value)) for key, value in _identity(params).items()]
    tags = [RunTag("family", params.models.family), RunTag("parent", params.train.parent)]
    store.log_batch(run.info.run_id, params=said, tags=tags)
    return str(run.info.run_id)


def has_run(store: MlflowClient, run_id: str) -> bool:
    """Tell whether the store knows this run: a cached adapter may come from another store."""
    try:
        return store.get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def tag(run_id: str, key: str) -> str | None:
    """Read a tag of a run."""
    found: str | None = connect().get_run(run_id).data.tags.get(key)
    return found


def set_tag(run_id: str, key: str, value: str) -> None:
    """Write a tag of a run."""
    connect().set_tag(run_id, key, value)


def _interrupted(store: MlflowClient, params: Params, state: Path) -> str | None:
    """Find the run that `state` left unfinished, and open it again."""
    path = state / _STATE
    if not path.is_file():
        return None
    kept = read_json(path)
    if kept["params_sha256"] != sha256_of_json(_identity(params)) or not has_run(store, kept["run_id"]):
        return None
    if store.get_run(kept["run_id"]).info.status == RunStatus.to_string(RunStatus.FINISHED):
        return None
    store.update_run(kept["run_id"], RunStatus.to_string(RunStatus.RUNNING))
    return str(kept["run_id"])


def _begun(store: MlflowClient, params: Params, state: Path) -> str:
    run_id = new_run(store, params)
    write_json(state / _STATE, {"run_id": run_id, "params_sha256": sha256_of_json(_identity(params))})
    return run_id


def _identity(params: Params) -> dict[str, Any]:
    """List what makes a training this one and no other."""
    said = resolved(params)
    models = {f"models.{key}": said["models"][key] for key in ("family", "base")}
    return models | {f"train.{key}": value for key, value in said["train"].items()}


def _last_step(store: MlflowClient, run_id: str, key: str) -> int:
    return max(int(point.step) for point in store.get_metric_history(run_id, key))


def log_dataset(run_id: str, name: str, digest: str, num_images: int, model_id: str | None = None) -> None:
    """Say what a run learnt from; `digest` is DVC's, with which the run is found again."""
    store, source = connect(), DvcSource(f"data/{name}", digest)
    dataset = Dataset(name, digest, "dvc", source.to_json(), profile=json.dumps({"num_images": num_images}))
    store.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    # MLflow links a model to a dataset only through a metric that names both
    store.log_metric(run_id, "num_images", num_images, dataset_name=name, dataset_digest=digest, model_id=model_id)


def log_scores(run_id: str, scores: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> None:
    """Log the mean of every metric of every model, as scores/<model>/<panel>/<metric>."""
    now = int(time.time() * 1000)
    means = [
        Metric(f"scores/{model}/{metric.split('@')[0]}", row["mean"], now, 0)
        for model, metrics in scores.items()
        for metric, row in metrics.items()
        if row["mean"] is not None
    ]
    connect().log_batch(run_id, metrics=means)


def log_curves(run_id: str, path: Path) -> None:
    """Log curves from a CSV file with the column "step", for a run whose own store is gone."""
    with path.open(newline="") as file:
        points = list(csv.DictReader(file))
    store, now = connect(), int(time.time() * 1000)
    metrics = [
        Metric(key, float(value), now, int(point["step"]))
        for point in points
        for key, value in point.items()
        if key != "step" and value
    ]
    for start in range(0, len(metrics), 1000):
        store.log_batch(run_id, metrics=metrics[start : start + 1000])


def log_pictures(run_id: str, pictures: Mapping[str, Path]) -> None:
    """Log pictures by name, for the image grid of the run's page."""
    store = connect()
    for name, path in pictures.items():
        with Image.open(path) as picture:
            store.log_image(run_id, picture.convert("RGB"), key=name, step=0)
