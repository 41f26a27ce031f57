"""A stage that another machine is asked to run: what it must know, in plain JSON values.

>>> asked = errand(stage("train"), Path(), is_forced=False, is_upstream_stale=False)
>>> take_up(asked, root)  # there, in a workspace of asked.commit

Code travels by git, data and models by DVC's remote (tasks.errands.baggage), weights of a parent by the registry.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks import weak_teacher
from tasks.environment import MLFLOW_STORE
from tasks.errands.baggage import bring, digests, run_key
from tasks.folders import write_text
from tasks.git import said
from tasks.params import PARAMS_FILE
from tasks.pipeline import PLACES, Stage, stage
from tasks.planning.code_record import refresh
from tasks.planning.fingerprint import recorded_of, rooms
from tasks.runner import RUNS
from tasks.workspaces.workspace import settle


@dataclass(frozen=True)
class Errand:
    """One run of a stage; `key` is DVC's name for it, whoever asks: its command, params, code and all that it reads.

    `reads` are DVC's digests by path, `installed` is what the digest of the code says of libraries and numbers.
    """

    stage: str
    key: str
    commit: str
    params: str
    reads: dict[str, str]
    installed: dict[str, dict[str, str]]
    host: str
    is_forced: bool = False
    is_upstream_stale: bool = False
    is_weak_teacher_accepted: bool = False


def errand(row: Stage, root: Path, *, is_forced: bool, is_upstream_stale: bool) -> Errand:
    """Say what a stage needs to run elsewhere as it would run in `root` now.

    Raises ValueError where git holds something else than what lies here, or has not sent it on.
    """
    refresh(root)
    commit = _pushed(root)
    probe = root / PLACES["probe"]
    return Errand(
        stage=row.name,
        key=run_key(row.name, root),
        commit=commit,
        params=(root / PARAMS_FILE).read_text(encoding="utf-8"),
        reads=digests(row.name, root),
        installed=_installed(row, root),
        host=platform.node(),
        is_forced=is_forced,
        is_upstream_stale=is_upstream_stale,
        is_weak_teacher_accepted=row.name == "train" and weak_teacher.is_accepted(probe, root / RUNS),
    )


def take_up(asked: Errand, root: Path) -> None:
    """Make a lent workspace of the commit what it is where the errand comes from, as far as the stage sees it.

    Raises ValueError or FileNotFoundError naming what is missing or another here: nothing was computed by then.
    """
    if asked.host != platform.node() and not os.environ.get("MLFLOW_TRACKING_URI", "").startswith("http"):
        raise ValueError(
            f"{asked.host} cannot see the {MLFLOW_STORE} of {platform.node()}: "
            "start the worker with MLFLOW_TRACKING_URI, the address of the MLflow server"
        )
    write_text(root / PARAMS_FILE, asked.params)
    settle(root)
    (root / "dvc.lock").unlink(missing_ok=True)  # it tells of the runs of this machine
    bring(asked.stage, asked.reads, root)
    if asked.is_weak_teacher_accepted:
        weak_teacher.accept(root / PLACES["probe"], root / RUNS)
    refresh(root)
    if differences := list(_differences(asked, root)):
        raise ValueError(f"{platform.node()} is not like {asked.host}: {'; '.join(differences)}")


def fetch(commit: str, home: Path) -> None:
    """Have git bring a commit that `home` lacks; raises ValueError where its remotes have none such either."""
    try:
        said(home, "cat-file", "-e", f"{commit}^{{commit}}")
    except ValueError:
        said(home, "fetch", "--quiet", "--all")
        said(home, "cat-file", "-e", f"{commit}^{{commit}}")


def _pushed(root: Path) -> str:
    """Name the commit that lies here; raises ValueError where a worker elsewhere could not get it, or the code."""
    code = ["dvc.yaml", *map(str, rooms(root))]
    if mine := said(root, "status", "--porcelain", "--", *code).splitlines():
        raise ValueError(f"{mine[0][3:]} is not committed, and a worker runs what git holds: commit it, and `git push`")
    commit = said(root, "rev-parse", "HEAD")
    if said(root, "remote") and not said(root, "branch", "--remotes", "--contains", commit):
        raise ValueError(f"no remote has the commit {commit[:8]} yet, and a worker gets it from there: `git push`")
    return commit


def _installed(row: Stage, root: Path) -> dict[str, dict[str, str]]:
    recorded: Any = recorded_of(row, root)
    return {kind: recorded[kind] for kind in ("packages", "numerics")}


def _differences(asked: Errand, root: Path) -> Iterator[str]:
    """Name what would give other numbers here, or a run that nobody asked for."""
    here = _installed(stage(asked.stage), root)
    for kind, wanted in asked.installed.items():
        yield from _unequal(wanted, here[kind], "install it")
    yield from _unequal(asked.reads, digests(asked.stage, root), "bring the same folder here")


def _unequal(wanted: Mapping[str, str], here: Mapping[str, str], mend: str) -> Iterator[str]:
    for name in sorted({*wanted, *here}):
        if wanted.get(name) != here.get(name):
            yield f"{name} is {here.get(name, 'missing')} here and {wanted.get(name, 'unknown')} there, {mend}"
