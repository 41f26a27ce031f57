"""The folder `record` beside the run that made a version: its lineage, marks, pictures, page and ledger, for people.

>>> read("dopsd", "v7", "page.md")
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.folders import sha256_of_bytes, write_bytes
from tasks.tracking import connect

FOLDER = "record"


def keep(name: str, version: str, files: Mapping[str, str]) -> None:
    """Keep texts that git or the ledger has, too."""
    store, run_id = connect(), _run(name, version)
    for file, text in files.items():
        store.log_text(run_id, text, f"{FOLDER}/{file}")


def seal(name: str, version: str, file: str, data: bytes) -> None:
    """Keep what nothing else has; its sha256 becomes a tag of the version."""
    store = connect()
    with TemporaryDirectory() as folder:
        write_bytes(Path(folder) / file, data)
        store.log_artifact(_run(name, version), f"{folder}/{file}", FOLDER)
    store.set_model_version_tag(name, version.removeprefix("v"), sealed_by(file), sha256_of_bytes(data))


def sealed_by(file: str) -> str:
    """Name the tag that has the digest of a file."""
    return f"{FOLDER}/{file}"


def read(name: str, version: str, file: str) -> str | None:
    """Read a text; None where there is none."""
    if file not in names(name, version):
        return None
    with TemporaryDirectory() as folder:
        path = connect().download_artifacts(_run(name, version), f"{FOLDER}/{file}", folder)
        return Path(path).read_text(encoding="utf-8")


def names(name: str, version: str) -> set[str]:
    """Name the files that are there."""
    return {row.path.removeprefix(f"{FOLDER}/") for row in connect().list_artifacts(_run(name, version), FOLDER)}


def bring(name: str, version: str, folder: Path) -> Path:
    """Bring all of it into `folder`; gives the place where the files lie then."""
    return Path(connect().download_artifacts(_run(name, version), FOLDER, str(folder)))


def _run(name: str, version: str) -> str:
    return str(connect().get_model_version(name, version.removeprefix("v")).run_id)
