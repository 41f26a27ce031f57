"""The versions of a project's model in MLflow: what was entered with which lineage, and which one is champion.

    python -m tasks parent champion          (fetch its adapter into runs/parents)

A version is entered once: the same adapter finds its version again, by the digest of its weights.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow.diffusers
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from dopsd.gate import Decision, Verdict
from tasks.folders import sha256_of_file, staged_folder
from tasks.lineage import WEIGHTS, Lineage
from tasks.tracking import connect

PARENTS = Path("runs/parents")
_ALIAS = {Verdict.PROMOTE: "champion", Verdict.HOLD: "challenger", Verdict.REJECT: None}
_MOST_TAG_CHARACTERS = 5000


def enter(name: str, record: Lineage, adapter: Path, run_id: str) -> str:
    """Give the adapter a version in the registry, or find the one it has; its name is "v3", for example."""
    store = connect()
    found = _of_adapter(store, name, record.adapter)
    if found is None:
        if not store.search_registered_models(f"name='{name}'"):
            store.create_registered_model(name)
        model_id = _logged(store, record, adapter, run_id)
        source = f"models:/{model_id}"
        found = store.create_model_version(name, source, run_id, tags=tags(record), model_id=model_id)
    store.set_model_version_tag(name, str(found.version), "scores", tags(record)["scores"])  # they may be newer
    return f"v{found.version}"


def decide(name: str, version: str, decision: Decision) -> None:
    """Let the verdict move an alias: PROMOTE makes a champion, HOLD a challenger, REJECT moves nothing.

    A verdict that the version already has moves nothing either: a later champion is not undone by a rerun.
    """
    store, number = connect(), version.removeprefix("v")
    if store.get_model_version(name, number).tags.get("verdict") == decision.verdict:
        return
    if alias := _ALIAS[decision.verdict]:
        store.set_registered_model_alias(name, alias, number)
    sentences = "\n".join(f"- {reason.sentence}" for reason in decision.reasons)
    store.update_model_version(name, number, f"{decision.verdict}\n\n{sentences}")
    store.set_model_version_tag(name, number, "verdict", str(decision.verdict))  # last: until here a rerun does it all


def tags(record: Lineage) -> dict[str, str]:
    """Spell the record out as tags of a version; what is not a word is JSON."""
    said = {key: value for key, value in asdict(record).items() if key != "scores"}
    said |= {"scores": _means(record.scores)}
    texts = {key: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for key, value in said.items()}
    for key, text in texts.items():
        assert len(text) <= _MOST_TAG_CHARACTERS, f"the tag {key} is too long for MLflow: {len(text)} characters"
    return texts


def named(name: str, version: str) -> str:
    """Turn "champion", "challenger" or "v3" into the "v3" that it is now; raises ValueError where there is none."""
    store = connect()
    try:
        if version[:1] == "v" and version[1:].isdigit():
            return f"v{store.get_model_version(name, version[1:]).version}"
        return f"v{store.get_model_version_by_alias(name, version).version}"
    except MlflowException as error:
        mend = "`dopsd run` registers one" if version in _ALIAS.values() else "it is champion, challenger, v1, v2, ..."
        raise ValueError(f"the registry has no {version} of {name}: {mend}") from error


def model_id(name: str, version: str) -> str:
    """Name the logged model that a version is."""
    return str(connect().get_model_version(name, version.removeprefix("v")).source).removeprefix("models:/")


def fetch(name: str, version: str, root: Path) -> Path:
    """Bring the adapter of a version into runs/parents, checked against its digest; gives its folder."""
    version = named(name, version)
    folder = root / PARENTS / version
    known = connect().get_model_version(name, version.removeprefix("v"))
    if not (folder / WEIGHTS).is_file():
        with staged_folder(folder) as staged:
            shutil.copyfile(Path(mlflow.diffusers.load_model(known.source).adapter_path) / WEIGHTS, staged / WEIGHTS)
    if sha256_of_file(folder / WEIGHTS) != known.tags["adapter"]:
        raise ValueError(f"{folder / WEIGHTS} is not the adapter of {version}: delete {folder} and fetch it again")
    return folder


def _of_adapter(store: MlflowClient, name: str, digest: str) -> ModelVersion | None:
    found = store.search_model_versions(f"name='{name}' and tags.adapter='{digest}'")
    return min(found, key=lambda row: int(row.version), default=None)


def _logged(store: MlflowClient, record: Lineage, adapter: Path, run_id: str) -> str:
    """Log the adapter with its base as a model that `mlflow.diffusers.load_model` reads; gives its id."""
    experiment = store.get_run(run_id).info.experiment_id
    base = str(record.params["models"]["base"])
    base = base if Path(base).is_absolute() else f"./{base}"  # without ./ MLflow would ask the hub for it
    model = store.create_logged_model(experiment, "adapter", run_id, params={"base": record.base})
    mlflow.diffusers.log_model(str(adapter / WEIGHTS), base, model_id=model.model_id)
    return str(model.model_id)


def _means(scores: Mapping[str, Any]) -> dict[str, dict[str, list[float | None]]]:
    """Shorten the scores to mean, low and high a metric, to fit into a tag."""
    return {
        model: {metric.split("@")[0]: _rounded(row) for metric, row in rows.items()}
        for model, rows in scores["models"].items()
    }


def _rounded(row: Mapping[str, float | None]) -> list[float | None]:
    values = (row[end] for end in ("mean", "low", "high"))
    return [None if value is None else float(f"{value:.4g}") for value in values]
