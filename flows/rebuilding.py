"""Make a version again from its record, in a clean clone, and compare what comes of it with what is kept.

rebuilt(Path(), records(Path(), "dopsd"), "v7", Path("/tmp/v7"), despite_environment=False)
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from flows.mistakes import told
from flows.reproduction import child, environment
from tasks.ancestry.records import Record, stages
from tasks.pipeline import Stage
from tasks.rebuilding.clone import bring_weights, laid_out
from tasks.rebuilding.conditions import STEPS, check_models, otherwise
from tasks.rebuilding.rebuilt import Rebuilt, compared
from tasks.takedown import refusal
from tasks.versions.stored import stores


def rebuilt(
    root: Path, known: Mapping[str, Record], version: str, folder: Path, *, despite_environment: bool
) -> Rebuilt:
    """Compute captions, entries and weights of a version anew, in the empty `folder`.

    Raises ValueError or FileNotFoundError where it was taken down, where something that it was made from is gone or
    another, and where a stage does not run here.
    """
    refusal.check(root, known[version])
    locked = stages(root, known[version])
    if differences := otherwise(locked):
        text = f"{version} was made with something else than is installed here: {'; '.join(differences)}"
        if not despite_environment:
            raise ValueError(f"{text}. Install its constraints.txt, or try all the same with --despite-environment")
        told.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)
    with stores(root) as stored, TemporaryDirectory() as kept:
        bring_weights(root, known[version], stored, Path(kept) / "weights")
        there = laid_out(root, known, version, stored, folder)
        check_models(locked, there)
        for row in STEPS:
            _run(row, there)
        return compared(locked, known[version], Path(kept) / "weights", there)


def _run(row: Stage, there: Path) -> None:
    """Run a stage as its commit says, with a store of MLflow's own; raises ValueError where it fails."""
    said = yaml.safe_load((there / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    if row.name not in said:
        raise ValueError(f"its dvc.yaml has no stage {row.name}: it was made by another pipeline than this one")
    own = {"MLFLOW_TRACKING_URI": f"sqlite:///{there}/mlflow.db", "_MLFLOW_SERVER_ARTIFACT_ROOT": str(there / "mlruns")}
    with child(shlex.split(said[row.name]["cmd"]), {**environment(is_upstream_stale=False), **own}, there) as started:
        if code := started.wait():
            raise ValueError(f"{row.name} of that commit ended with {code} here: what it said stands above")
