"""The picture in MLflow: the grids and samples of the runs that learnt from it.

>>> list(shown(["f3a1..."]))
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.folders import sha256_of_file
from tasks.takedown.trace import Trace
from tasks.tracking import connect, has_run

_FOLDERS = ("images", "record")
_DRAWN = (".png", ".webp")
_NO_PICTURE = "record/verdict.png"  # intervals, no images


def shown(runs: Iterable[str]) -> Iterator[Trace]:
    """Find the pictures of runs, all of them: targets stand in the grids, and samples were drawn with it in sight."""
    store = connect()
    for run in runs:
        if not has_run(store, run):
            continue
        for path in (row.path for folder in _FOLDERS for row in store.list_artifacts(run, folder)):
            if path.endswith(_DRAWN) and path != _NO_PICTURE:
                # the public client has no way to delete
                remove = partial(store._tracking_client._get_artifact_repo(run).delete_artifacts, path)
                yield Trace("MLflow", f"{run}/{path}", _digest(run, path), remove)


def _digest(run: str, path: str) -> str:
    with TemporaryDirectory() as folder:
        return sha256_of_file(Path(connect().download_artifacts(run, path, folder)))
