"""What MLflow tells of two versions comes back from git, DVC and the ledger, and a dataset from its digest."""

import shutil
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import mlflow.data
import pytest
from mlflow.data.dataset_source_registry import register_dataset_source, resolve_dataset_source

from tasks.ancestry.records import records
from tasks.folders import sha256_of_folder
from tasks.tracking import connect
from tasks.versions import ledger, promotion, registry, stand_in
from tasks.versions.audit import audit
from tasks.versions.dataset_source import DvcSource
from tasks.versions.restored import restore
from tests.registered import project_of_two

_NEW = ("stands_for", "at", "mlflow.", "record/page.md")
"""Tags that a restored version has besides its own, MLflow's own of a run, and the digest of a page that names it."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Two versions, v3 trained on from v2."""
    return project_of_two(tmp_path_factory.mktemp("project"), empty_store)


@pytest.fixture
def root(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that may lose things."""
    shutil.copytree(project, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def told(root: Path) -> dict[str, Any]:
    """Gather all that the registry tells, but for what MLflow chooses itself: ids and times."""
    known = records(root, "dopsd")
    model, base = connect().get_registered_model("dopsd"), connect().get_model_version_by_alias("dopsd", "base")
    return {
        "aliases": model.aliases, "tags": model.tags, "versions": {name: version(name) for name in known},
        "base": (base.description, base.source, base.tags),
    }  # fmt: skip


def version(name: str) -> dict[str, Any]:
    known = connect().get_model_version("dopsd", name[1:])
    run = connect().get_run(known.run_id)
    files = Path(connect().download_artifacts(run.info.run_id, "record"))
    pages = [known.description, (files / "page.md").read_text()]
    curves = {key: connect().get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    return {
        "pages": [page.replace(run.info.run_id, "its run") for page in pages], "tags": lasting(known.tags),
        "record": {path.name: path.read_bytes() for path in files.iterdir() if path.name != "page.md"},
        "weights": registry.digest_of_weights("dopsd", name), "run": lasting(run.data.tags), "params": run.data.params,
        "curves": {key: sorted((point.step, point.value) for point in points) for key, points in curves.items()},
        "datasets": [row.dataset.to_dictionary() for row in run.inputs.dataset_inputs],
        "pictures": len(connect().list_artifacts(run.info.run_id, "images")), "status": run.info.status,
        "name": run.info.run_name,
    }  # fmt: skip


def lasting(tags: dict[str, str]) -> dict[str, str]:
    return {key: text for key, text in tags.items() if not key.startswith(_NEW)}


@pytest.fixture
def forget(root: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Go on with a registry that knows nothing."""

    def forget() -> None:
        shutil.rmtree(root / "mlruns")
        shutil.copyfile(empty_store, root / "another.db")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/another.db")

    return forget


def test_the_registry_comes_back_as_it_was(root: Path, forget: Callable[[], None]) -> None:
    before, decided = told(root), ledger.read(root)
    forget()
    assert restore(root, "dopsd") == ["v1", "v2", "v3"]
    assert told(root) == before
    assert ledger.read(root) == decided
    assert audit(root, "dopsd", is_strict=True) == []
    assert restore(root, "dopsd") == []


def test_a_restoration_that_was_stopped_goes_on(
    root: Path, forget: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    forget()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tasks.versions.restored.tell", stopped)
        restore(root, "dopsd")
    assert restore(root, "dopsd") == ["v2", "v3"]
    assert audit(root, "dopsd", is_strict=False) == []
    assert len(connect().search_runs([connect().get_experiment_by_name("dopsd").experiment_id])) == 2


def test_a_version_that_was_given_up_stays_so_and_keeps_its_number(root: Path, forget: Callable[[], None]) -> None:
    promotion.give_up("dopsd", "v2", "not among the newest", root)
    before, decided = version("v3"), ledger.read(root)
    forget()
    assert restore(root, "dopsd") == ["v1", "v3"]
    assert (list(registry.versions("dopsd")), version("v3")) == (["v3"], before)
    assert (ledger.read(root), audit(root, "dopsd", is_strict=True)) == (decided, [])


def stopped(*_: object) -> None:
    raise KeyboardInterrupt


def test_without_the_ledger_nothing_is_decided_anew(root: Path, forget: Callable[[], None]) -> None:
    forget()
    (root / "ledger.jsonl").unlink()
    with pytest.raises(ValueError, match="the ledger says nothing of v2: put back"):
        restore(root, "dopsd")


def test_a_dataset_comes_back_from_the_digest_that_its_run_names(root: Path, tmp_path: Path) -> None:
    register_dataset_source(DvcSource)  # MLflow does so by the entry point, where the package is installed
    run = connect().get_run(str(stand_in.found("dopsd", records(root, "dopsd")["v3"].run_id)))
    source = mlflow.data.get_source(run.inputs.dataset_inputs[0])
    assert sha256_of_folder(Path(source.load(str(tmp_path / "there")))) == sha256_of_folder(root / "data/images")
    assert resolve_dataset_source(f"dvc:{source.digest}").to_json() == source.to_json()
    with pytest.raises(FileNotFoundError, match="is neither in DVC's cache nor in its remote: bring it back"):
        DvcSource("data/images", "0" * 32 + ".dir").load()


def test_the_entry_point_names_the_source() -> None:
    said = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    module, _, name = said["project"]["entry-points"]["mlflow.dataset_source"]["dvc"].partition(":")
    assert getattr(import_module(module), name) is DvcSource
