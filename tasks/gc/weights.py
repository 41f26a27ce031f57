"""What MLflow keeps in files: weights of versions that went or never came to be, and runs that a person deleted.

>>> list(weights(roots))

All other runs stay, with their curves and records, also where their version went. Files on another machine are not
looked at.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

from tasks.gc.piece import Piece, piece, touched, vanish
from tasks.gc.roots import Roots
from tasks.tracking import connect

_MODELS = "models"
_DELETED_ONLY = 2  # as mlflow.entities.ViewType says it
_MOST = 50_000


def weights(roots: Roots) -> Iterator[Piece]:
    """List what may go of the experiments of all projects."""
    needed, runs = _needed(roots), {record.run_id for record in roots.kept.values()}
    for experiment, folder in _experiments(roots):
        for path in sorted((folder / _MODELS).glob("*/")):
            if path.name not in needed and touched(path) < roots.recent:
                yield piece("weights", path, "no version that is kept has them")
        deleted = connect().search_runs([experiment], run_view_type=_DELETED_ONLY, max_results=_MOST)
        for path in sorted(folder / run.info.run_id for run in deleted if run.info.run_id not in runs):
            if path.is_dir() and touched(path) < roots.recent:
                yield piece("run", path, "a person deleted it in MLflow")


def forget(weights: Path) -> None:
    """Mark weights as deleted in MLflow, so that nobody is led to them, and remove their files."""
    store = connect()
    experiments = [found.experiment_id for found in store.search_experiments()]
    for known in store.search_logged_models(experiments, filter_string=f"model_id = '{weights.name}'"):
        store.delete_logged_model(known.model_id)
    vanish(weights)


def _needed(roots: Roots) -> set[str]:
    """Name the logged models of all versions in the registry that stay, whoever entered them."""
    leaving = {*roots.going, *roots.gone}
    known = connect().search_model_versions()
    return {str(row.source).removeprefix("models:/") for row in known if (row.name, f"v{row.version}") not in leaving}


def _experiments(roots: Roots) -> Iterator[tuple[str, Path]]:
    """Find the projects' experiments that keep their files on this machine, and where."""
    store = connect()
    for project in roots.projects:
        found = store.get_experiment_by_name(project)
        place = urlparse(found.artifact_location if found else "none:")
        if place.scheme in ("", "file"):
            yield found.experiment_id, Path(unquote(place.path))
