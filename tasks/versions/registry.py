"""The versions of a project's model in MLflow: what was entered, with which lineage.

    python -m tasks parent champion          (fetch its adapter into runs/parents)

A version is entered once: the same adapter finds its version again, by the digest of its weights. Versions that are a
base are `tasks.versions.base`'s.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.diffusers
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from dopsd.weights.trained import FILE, FOLDER, is_whole
from tasks.ancestry.records import BASE, in_order
from tasks.folders import staged_folder
from tasks.tracking import connect
from tasks.versions import run_record, taken_down
from tasks.versions.ledger import ALIASES
from tasks.versions.lineage import Lineage, digest_of_trained, person, trigger

PARENTS = Path("runs/parents")
KIND = "kind"
"""The tag that tells a version which is a base from those that were trained; these have none."""
_MOST_IN_PAGE, _MOST_IN_TAG = 5000, 100_000
"""Characters that MLflow takes."""


def enter(name: str, record: Lineage, trained: Path, run_id: str) -> str:
    """Give what was trained a version in the registry, or find the one it has; its name is "v3", for example."""
    store = connect()
    found = _of_adapter(store, name, record.adapter)
    if found is None:
        open_for(name)
        model_id = _logged(store, record, trained, run_id)
        source = f"models:/{model_id}"
        said = tags(record) | {"by": person(), "trigger": trigger()}
        found = store.create_model_version(name, source, run_id, tags=said, model_id=model_id)
    store.set_model_version_tag(name, str(found.version), "scores", tags(record)["scores"])  # they may be newer
    return f"v{found.version}"


def hold_place(name: str, version: str) -> None:
    """Use the number of a version up that was given up: until it is deleted there is an empty one, and none after."""
    open_for(name)
    if version not in versions(name):
        connect().create_model_version(name, "dopsd:///given-up")  # a server takes no bare name


def check_number(name: str, wanted: str, entered: str) -> None:
    """Take back what was entered under another number than was wanted; MLflow gives none twice. Raises ValueError."""
    if entered != wanted:
        connect().delete_model_version(name, entered.removeprefix("v"))
        raise ValueError(f"MLflow gives {wanted} no second time, next is {entered}: restore into an empty mlflow.db")


def open_for(name: str) -> None:
    """Let there be a registered model for the versions of a project."""
    store = connect()
    if not store.search_registered_models(f"name='{name}'"):
        store.create_registered_model(name)


def tag(name: str, version: str, key: str, value: str) -> None:
    """Write a tag of a version."""
    connect().set_model_version_tag(name, version.removeprefix("v"), key, value)


def describe(name: str, version: str, page: str) -> None:
    """Write what stands on the page of a version, as Markdown; its end goes to the record where MLflow has no room."""
    run_record.seal(name, version, "page.md", page.encode())
    connect().update_model_version(name, version.removeprefix("v"), shortened(page))


def shortened(page: str) -> str:
    """Cut a page to what MLflow takes."""
    if len(page) <= _MOST_IN_PAGE:
        return page
    shown = page[: _MOST_IN_PAGE - 100].rpartition("\n")[0]
    return f"{shown}\n\nThe rest is in record/page.md of the run."


def page(name: str, version: str) -> str:
    """Read what stands on the page of a version."""
    return str(connect().get_model_version(name, version.removeprefix("v")).description)


def entered(name: str, version: str) -> dict[str, str]:
    """Say who entered a version, what had started the run, and when that was, in UTC; first, if it was restored."""
    known = connect().get_model_version(name, version.removeprefix("v"))
    at = datetime.fromtimestamp(known.creation_timestamp / 1000, UTC).isoformat(timespec="seconds")
    return {key: known.tags.get(key, "unknown") for key in ("by", "trigger")} | {"at": known.tags.get("at", at)}


def tags(record: Lineage) -> dict[str, str]:
    """Spell the record out as tags of a version; what is not a word is JSON."""
    said = {key: value for key, value in asdict(record).items() if key != "scores"}
    said |= {"scores": _means(record.scores)}
    texts = {key: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for key, value in said.items()}
    for key, text in texts.items():
        assert len(text) <= _MOST_IN_TAG, f"the tag {key} is too long for MLflow: {len(text)} characters"
    return texts


def named(name: str, version: str) -> str:
    """Turn "champion", "challenger" or "v3" into the "v3" that it is now.

    Raises ValueError where there is none, and where it is a base.
    """
    store = connect()
    try:
        is_number = version[:1] == "v" and version[1:].isdigit()
        ask = store.get_model_version if is_number else store.get_model_version_by_alias
        known = ask(name, version[1:] if is_number else version)
    except MlflowException as error:
        mend = "it is champion, challenger, v2, v3, ...; `dopsd model restore` enters what a registry has lost"
        mend = "`dopsd run` registers one" if version in ALIASES else mend
        raise ValueError(f"the registry has no {version} of {name}: {mend}") from error
    if known.tags.get(KIND) == BASE:
        raise ValueError(
            f"v{known.version} of {name} is the base, nothing was trained to make it: name a version that was; "
            "`base` is its name where one begins at it, draws with it or asks for its lineage"
        )
    return f"v{known.version}"


def model_id(name: str, version: str) -> str:
    """Name the logged model that a version is."""
    return str(connect().get_model_version(name, version.removeprefix("v")).source).removeprefix("models:/")


def fetch(name: str, version: str, root: Path) -> Path:
    """Bring what was trained into runs/parents, checked against its digest; gives its folder."""
    version = named(name, version)
    folder = root / PARENTS / version
    known = connect().get_model_version(name, version.removeprefix("v"))
    taken_down.check(name, version)
    if not folder.is_dir():
        with staged_folder(folder) as staged:
            found = _trained(known)
            if is_whole(found):
                shutil.copytree(found / FOLDER, staged / FOLDER)
            else:
                shutil.copyfile(found / FILE, staged / FILE)
    if digest_of_trained(folder) != known.tags["adapter"]:
        raise ValueError(f"{folder} does not hold the weights of {version}: delete it and fetch them again")
    return folder


def versions(name: str) -> dict[str, dict[str, str]]:
    """List the versions that were trained with their tags, the lowest number first."""
    return {version: tags for version, tags in _all(name).items() if tags.get(KIND) != BASE}


def bases(name: str) -> dict[str, dict[str, str]]:
    """List the versions that are a base with their tags, the lowest number first."""
    return {version: tags for version, tags in _all(name).items() if tags.get(KIND) == BASE}


def _all(name: str) -> dict[str, dict[str, str]]:
    found = {f"v{row.version}": dict(row.tags) for row in connect().search_model_versions(f"name='{name}'")}
    return {version: found[version] for version in in_order(found)}


def digest_of_weights(name: str, version: str) -> str | None:
    """Digest the weights that the registry holds of a version, anew; None where they are gone."""
    known = connect().get_model_version(name, version.removeprefix("v"))
    try:
        return digest_of_trained(_trained(known))
    except (MlflowException, FileNotFoundError):
        return None


def _trained(known: ModelVersion) -> Path:
    """Find the folder that holds what was trained, as training wrote it; a store far away is downloaded from."""
    model = connect().get_logged_model(str(known.source).removeprefix("models:/"))
    if model.name != FOLDER:
        return Path(mlflow.diffusers.load_model(known.source).adapter_path)
    return Path(mlflow.artifacts.download_artifacts(f"{model.artifact_location}/{FOLDER}")).parent


def _of_adapter(store: MlflowClient, name: str, digest: str) -> ModelVersion | None:
    found = store.search_model_versions(f"name='{name}' and tags.adapter='{digest}'")
    return min(found, key=lambda row: int(row.version), default=None)


def _logged(store: MlflowClient, record: Lineage, trained: Path, run_id: str) -> str:
    """Log what was trained; gives the id of the model.

    An adapter comes with its base, for `mlflow.diffusers.load_model`; all weights are a transformer for diffusers.
    """
    experiment = store.get_run(run_id).info.experiment_id
    base = str(record.params["models"]["base"])
    base = base if Path(base).is_absolute() else f"./{base}"  # without ./ MLflow would ask the hub for it
    kind = FOLDER if is_whole(trained) else "adapter"
    model = store.create_logged_model(experiment, kind, run_id, params={"base": record.base})
    if is_whole(trained):
        store.log_model_artifacts(model.model_id, str(trained / FOLDER), FOLDER)
        store.finalize_logged_model(model.model_id, "READY")
    else:
        mlflow.diffusers.log_model(str(trained / FILE), base, model_id=model.model_id)
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
