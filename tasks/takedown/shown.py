"""The picture in MLflow: the grids and samples of the runs that learnt from it.

>>> list(shown("dopsd", ["a31bd35b6f0447b734d85e475cdcbfab.dir"]))

Runs go by the datasets that they name: those of versions, others that came to the same weights, deleted ones.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.folders import sha256_of_file
from tasks.takedown.trace import Trace
from tasks.tracking import connect

_FOLDERS = ("images", "record")
_DRAWN = (".png", ".webp")
_NO_PICTURE = "record/verdict.png"  # intervals, no images
_DELETED_TOO = 3  # as mlflow.entities.ViewType says it
_MOST = 50_000


def shown(model: str, datasets: Iterable[str]) -> Iterator[Trace]:
    """Find all pictures of the runs: targets stand in the grids, and samples were drawn with it in sight."""
    store = connect()
    for run in sorted({run for digest in datasets for run in _runs(model, digest)}):
        for path in (row.path for folder in _FOLDERS for row in store.list_artifacts(run, folder)):
            if path.endswith(_DRAWN) and path != _NO_PICTURE:
                # the public client has no way to delete
                remove = partial(store._tracking_client._get_artifact_repo(run).delete_artifacts, path)
                yield Trace("MLflow", f"{run}/{path}", _digest(run, path), remove)


def _runs(model: str, digest: str) -> Iterator[str]:
    store = connect()
    if known := store.get_experiment_by_name(model):
        asked = f"dataset.digest = '{digest}'"
        found = store.search_runs([known.experiment_id], asked, run_view_type=_DELETED_TOO, max_results=_MOST)
        yield from (run.info.run_id for run in found)


def _digest(run: str, path: str) -> str:
    with TemporaryDirectory() as folder:
        return sha256_of_file(Path(connect().download_artifacts(run, path, folder)))
