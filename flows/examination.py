"""What `dopsd doctor` looks at: one small check each, whose sentence says what it saw, and the mend.

for name, check in CHECKS.items(): print(name, check(Path()))
"""

import importlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from flows.installed import Finding, installed, lock, requirements
from flows.serving import running
from flows.storage import PREFECT_DATABASE, TRACKING, complaint
from tasks.devices.host import DEVICES, devices
from tasks.environment import ARTIFACTS, MLFLOW_STORE
from tasks.folders import read_json
from tasks.params import load
from tasks.runner import history, sources
from tasks.triggers.journal import TRIGGERS, WATCHED

_SKEW_S = 30.0


def params(root: Path) -> Finding:
    """Read params.yaml, and look for all that it names."""
    try:
        sources(load(root), root)
    except (ValueError, FileNotFoundError) as mistake:
        return Finding("bad", str(mistake))
    return Finding("good", "params.yaml is right, and all that it names is there")


def deployments(root: Path) -> Finding:
    """Check prefect.yaml, keys and flows and all."""
    try:
        importlib.import_module("flows.deployments").check(root)
    except (ValueError, FileNotFoundError) as mistake:
        return Finding("bad", str(mistake))
    return Finding("good", "prefect.yaml is right")


def disk(root: Path) -> Finding:
    """Ask how much room is left where runs write."""
    free = shutil.disk_usage(root).free / 1e9
    said = f"{free:.1f} GB are free here"
    if free < 1:
        return Finding("bad", f"{said}: runs would stop half-way; `dvc gc --workspace` and old runs/ make room")
    return Finding(
        "warning" if free < 10 else "good", said + (": a base model alone may take more" if free < 10 else "")
    )


def clock(root: Path) -> Finding:
    """See whether the clock stands before something that has happened: triggers and caches go by it."""
    rows, now = history(root), time.time()
    last = max((float(str(row["began"])) for row in rows), default=0.0)
    if last > now + _SKEW_S:
        return Finding("bad", f"the clock stands {last - now:.0f} s before the last stage that ran: set it (NTP)")
    return Finding("good", f"the clock stands after all {len(rows)} stages that ran here")


def remotes(root: Path) -> Finding:
    """Ask every DVC remote whether it is there, and whether it would survive this disk."""
    if not (root / ".dvc").is_dir():  # DVC would look for one in every folder above
        return Finding("bad", "there is no .dvc here: go to the folder that holds it, or `dvc init`")
    repo = importlib.import_module("dvc.repo").Repo(str(root))
    names = list(repo.config["remote"])
    if not names:
        return Finding("warning", "DVC has no remote, so data/ is in one place: `dvc remote add --default NAME URL`")
    for name in names:
        try:
            remote = repo.cloud.get_remote_odb(name)
            is_there = remote.fs.exists(remote.path)
        except Exception as error:  # noqa: BLE001 (each kind of remote has errors of its own)
            return Finding("bad", f"remote {name} refuses ({error}): check its address and the credentials")
        if remote.fs.protocol == "local" and _is_same_disk(Path(remote.path), root):
            return Finding("warning", f"remote {name} is on the disk of this folder, which is no backup")
        if not is_there:
            return Finding("warning", f"remote {name} is empty, or out of reach: `dvc push` finds out")
    return Finding("good", f"DVC reaches {', '.join(names)}")


def registry(root: Path) -> Finding:
    """Look whether the registry answers."""
    said = os.environ.get("MLFLOW_TRACKING_URI", "")
    if said.startswith("http"):
        return _answers("MLflow", f"{said}/health")
    if said and not said.startswith("sqlite:"):
        return _kept_elsewhere(TRACKING)
    path = root / MLFLOW_STORE if not said else Path(said.removeprefix("sqlite:///"))
    if not path.is_file():
        return Finding("warning", f"there is no {path} yet: the first run makes it")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            (count,) = store.execute("select count(*) from model_versions").fetchone()
    except sqlite3.Error as error:
        return Finding("bad", f"{path} cannot be read ({error}): restore it from a backup, or `mlflow db upgrade`")
    return Finding("good", f"{path} holds {count} versions")


def artifacts(_: Path) -> Finding:
    """Look whether MLflow's files can be written where a setting says."""
    return _kept_elsewhere(ARTIFACTS)


def database(_: Path) -> Finding:
    """Look whether the Prefect server can use the database that a setting names."""
    return _kept_elsewhere(PREFECT_DATABASE)


def server(root: Path) -> Finding:
    """Look whether the Prefect server answers, and what its clock says."""
    machine = running(root)
    api = os.environ.get("PREFECT_API_URL") or (machine.api if machine else None)
    if api is None:
        return Finding("good", "no Prefect server: `dopsd run` needs none, `dopsd up` starts one")
    return _answers("Prefect", f"{api}/health")


def triggers(root: Path) -> Finding:
    """Ask every place that a trigger watches whether it can be read."""
    found = {path.parent.name: read_json(path)["source"] for path in sorted((root / TRIGGERS).glob(f"*/{WATCHED}"))}
    catalogue = importlib.import_module("tasks.triggers.sources.catalogue")
    for name, source in found.items():
        try:
            if not source.startswith(catalogue.OFFERED):  # the server has a check of its own
                catalogue.named(source).marks()
        except (ValueError, OSError) as error:
            return Finding("bad", f"trigger {name}: {error}; if nobody watches that, delete its {WATCHED}")
    return Finding("good", f"{len(found)} triggers can read what they watch")


def gpu(_: Path) -> Finding:
    """Look whether torch can use the GPUs that the machine has; what DOPSD_DEVICES says need not be one."""
    try:
        count, torch = len(devices()), installed("torch") or "missing"
    except ValueError as mistake:
        return Finding("bad", str(mistake))
    if DEVICES in os.environ:
        return Finding("good", f"{DEVICES} says {count} devices")
    if not count:
        return Finding("good", "no GPU: the tiny models need none, others are very slow")
    if torch.endswith("+cpu"):
        return Finding("bad", f"{count} GPUs, but torch {torch} cannot use them: install a build with CUDA")
    return Finding("good", f"{count} GPUs, torch {torch}")


CHECKS: Mapping[str, Callable[[Path], Finding]] = {
    "libraries": requirements, "lock": lock, "params.yaml": params, "prefect.yaml": deployments, "disk": disk,
    "clock": clock, "remotes": remotes, "registry": registry, "artifacts": artifacts,
    "database": database, "server": server, "triggers": triggers, "gpu": gpu,
}  # fmt: skip


def _is_same_disk(path: Path, root: Path) -> bool:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return there.stat().st_dev == root.stat().st_dev


def _kept_elsewhere(name: str) -> Finding:
    if name not in os.environ:
        return Finding("good", f"{name} is not set: what it could name is kept on this machine")
    wrong = complaint(name)
    return Finding("bad", wrong) if wrong else Finding("good", f"what {name} names can be used")


def _answers(name: str, page: str) -> Finding:
    begun = time.time()
    try:
        with urlopen(page, timeout=10) as answer:
            said = answer.headers.get("Date")
    except (OSError, HTTPException, ValueError) as error:
        return Finding("bad", f"{name} does not answer at {page} ({error}): `dopsd status`, or correct the address")
    skew = abs(parsedate_to_datetime(said).timestamp() - begun) if said else 0.0
    if skew > _SKEW_S:
        return Finding("warning", f"{name} answers, but its clock is {skew:.0f} s from ours: set both (NTP)")
    return Finding("good", f"{name} answers at {page}")
