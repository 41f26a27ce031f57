"""What is kept outside of this folder, by three settings in the environment, and whether it can be reached.

    MLFLOW_TRACKING_URI=postgresql://...                     MLflow's runs and registry
    MLFLOW_DEFAULT_ARTIFACT_ROOT=s3://...                    MLflow's files
    PREFECT_SERVER_DATABASE_CONNECTION_URL=postgresql+asyncpg://...

`refuse_unreachable()` before anything is started; no message ever shows a password.
"""

import os
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from fsspec.core import url_to_fs
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from tasks.environment import ARTIFACTS

TRACKING = "MLFLOW_TRACKING_URI"
PREFECT_DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
_DRIVER = "postgresql+asyncpg"
_PATIENCE_S = 10


def refuse_unreachable() -> None:
    """Raise ValueError with a line for each setting whose place cannot be used as it is."""
    if mistakes := [mistake for name in LOOKS if (mistake := complaint(name))]:
        raise ValueError("\n".join(mistakes))


def complaint(name: str) -> str | None:
    """Say what is wrong with the place that a setting names, and the mend; None where it serves, or is not set."""
    said = os.environ.get(name, "")
    try:
        return f"{name}: {wrong}" if said and (wrong := LOOKS[name](said)) else None
    except (SQLAlchemyError, ValueError):  # which would show the address, with a password that it may hold
        return f"{name} is no address of a database: write postgresql://USER@HOST/NAME"


def _of_tracking(said: str) -> str | None:
    """Look at MLflow's database; the embedded one and a server are looked at elsewhere."""
    if said.startswith(("sqlite:", "http")) or "://" not in said:
        return None
    return _of_database(make_url(said))


def _of_prefect(said: str) -> str | None:
    """Look at Prefect's database, which it wants to ask in a way of its own."""
    address = make_url(said)
    if address.get_backend_name() == "sqlite":
        return None
    if address.drivername != _DRIVER:
        return f"Prefect cannot use {address.drivername}: write {_DRIVER}://USER@HOST/NAME"
    return _of_database(address.set(drivername="postgresql"))  # asked without an event loop


def _of_database(address: URL) -> str | None:
    """Ask a database for its tables."""
    patience = {"connect_timeout": _PATIENCE_S} if address.get_backend_name() == "postgresql" else {}
    try:
        inspect(engine := create_engine(address, connect_args=patience)).get_table_names()
        engine.dispose()
    except ImportError as error:
        return f"{error}: `pip install --constraint constraints.txt --editable '.[postgresql]'` brings the driver"
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        return f"{address.render_as_string()} refuses ({reason}): start it, or correct the address or ~/.pgpass"
    return None


def _of_files(said: str) -> str | None:
    """Write a small file there, and remove it: what can only be read would fail when a training has ended."""
    if urlsplit(said).password is not None:
        return "the address holds a password, which would be told in logs: leave it to the environment"
    try:
        store, root = url_to_fs(said, use_listings_cache=False)
        path = f"{root.rstrip('/')}/dopsd-doctor-{uuid.uuid4().hex}"
        store.pipe_file(path, b"may we write here?")
        store.rm_file(path)
    except Exception as error:  # noqa: BLE001 (each kind of store has errors of its own)
        mend = "correct the address, or the endpoint and credentials in the environment (AWS_ENDPOINT_URL, ...)"
        return f"{said} cannot be written to ({error}): {mend}"
    return None


LOOKS: Mapping[str, Callable[[str], str | None]] = {
    TRACKING: _of_tracking, ARTIFACTS: _of_files, PREFECT_DATABASE: _of_prefect,
}  # fmt: skip
