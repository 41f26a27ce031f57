"""What all tests share: no telemetry, no network, one thread, and an MLflow store that is ready."""

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tasks.environment import settle

os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PREFECT_LOGGING_LEVEL": "CRITICAL"}
settle()


_STORE = ("MLFLOW_TRACKING_URI", "MLFLOW_DEFAULT_ARTIFACT_ROOT", "_MLFLOW_SERVER_ARTIFACT_ROOT")


def _forget_store() -> None:
    for name in _STORE:
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def no_store_of_another_test() -> Iterator[None]:
    """Forget the store that was put into the environment when MLflow was last asked for one."""
    _forget_store()
    yield
    _forget_store()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all of MLflow's tables and no rows; setting one up takes seconds, copying it does not."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)  # this is set up before a test's own fixtures are
        import_module("tasks.tracking").connect()  # most tests need no MLflow, and should not wait for its import
    return folder / "mlflow.db"


@pytest.fixture
def store_root(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, whose mlflow.db is ready."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return tmp_path
