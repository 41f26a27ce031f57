"""A folder of its own for one run: the last commit, what git does not hold as it is now, and the caches of all runs.

    dopsd run --isolated

Shared are DVC's cache, MLflow's store and what runs keep for the next one; everything else is this run's alone, and is
gone afterwards. What it came to is recorded in runs/recorded, where the next workspace begins.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from dvc.config import Config, merge
from dvc.repo import Repo
from dvc.stage import PipelineStage

from tasks.environment import ARTIFACTS, CLIENTS_ARTIFACTS, MLFLOW_STORE
from tasks.folders import staged_folder
from tasks.git import said
from tasks.lock import held
from tasks.params import PARAMS_FILE, load, resolved
from tasks.pipeline import PLACES
from tasks.runner import RUNS, at_work
from tasks.weak_teacher import ACCEPTED
from tasks.workspaces.snapshot import snapshot
from tasks.workspaces.worktree import TREE, worktree

_SHARED = ("store", "trees", "parents", "revisions", "flights", "recorded", ACCEPTED)
_SHARED_FILES = ("history.jsonl", "reuse.jsonl")
RECORDED = RUNS / "recorded"
_KEPT = ("dvc.lock", PLACES["version"])
"""What DVC does not keep in its cache, and a run that follows must find to see that there is nothing to do."""


@contextmanager
def workspace(home: Path, commit: str = "HEAD") -> Iterator[Path]:
    """Lend a workspace of a commit of `home`; raises ValueError where git has none, or it holds no pipeline."""
    commit = said(home, "rev-parse", "--verify", f"{commit}^{{commit}}")
    below = said(home, "rev-parse", "--show-prefix")
    with at_work(home), worktree(home, commit) as slot:
        root = slot / TREE / below
        for name in (PARAMS_FILE, "dvc.yaml", ".dvc/config"):
            if not (root / name).is_file():
                raise ValueError(f"the last commit holds no {name}, and a workspace starts from that: commit it")
        _share_runs(root, home.resolve())
        _block(root, home)
        _settle_dvc(root, home, slot / "dvc")
        settle(root)
        yield root


def settle(root: Path) -> None:
    """Bring what params.yaml of a lent workspace names, and what the last run of its project came to."""
    _lay_out(root, (root / RECORDED).resolve().parents[1])
    _begin_where_others_ended(root)


def is_lent(root: Path) -> bool:
    """Tell a workspace that is gone after the run from one that people keep."""
    return (root / RECORDED).is_symlink()


def left_out(home: Path) -> list[str]:
    """List what is not committed in `home`, and so is not part of a workspace; what git ignores is."""
    but = f":(exclude){PLACES['blocked']}"  # it counts as it is
    return [line[3:] for line in said(home, "status", "--porcelain", "--", ".", but).splitlines()]


def environment(home: Path) -> Mapping[str, str]:
    """Say what must be set for MLflow to keep everything where `home` does, whichever folder a run is in."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{MLFLOW_STORE}")
    if uri.startswith("sqlite:///"):
        uri = f"sqlite:///{home.resolve() / uri.removeprefix('sqlite:///')}"
    # by default an experiment keeps its files below the folder from which it was first asked for
    artifacts = os.environ.get(ARTIFACTS, str(home.resolve() / "mlruns"))
    return {"MLFLOW_TRACKING_URI": uri, CLIENTS_ARTIFACTS: artifacts}


def record(root: Path) -> None:
    """Keep what a lent workspace came to; one writer at a time, whole or not at all."""
    recorded = _recorded(root)
    with _only_recorder(recorded), staged_folder(recorded) as staged:
        _copy(root, staged)


def _begin_where_others_ended(root: Path) -> None:
    recorded = _recorded(root)
    with _only_recorder(recorded):
        _copy(recorded, root)


def _recorded(root: Path) -> Path:
    """Say where a project keeps what its runs come to; it is known by the name of its model."""
    return (root / RECORDED).resolve() / load(root).register.model


def _only_recorder(recorded: Path) -> AbstractContextManager[None]:
    return held(recorded.with_name(f"{recorded.name}.lock"))


def _copy(source: Path, place: Path) -> None:
    for name in _KEPT:
        if (source / name).is_dir():
            shutil.copytree(source / name, place / name, dirs_exist_ok=True)
        elif (source / name).is_file():
            shutil.copyfile(source / name, place / name)


def _share_runs(root: Path, home: Path) -> None:
    """Let what one run leaves for another lie in one place; logs and checkpoints are of one run each."""
    (root / RUNS).mkdir()
    for name in _SHARED:
        (home / RUNS / name).mkdir(parents=True, exist_ok=True)
        (root / RUNS / name).symlink_to(home / RUNS / name)
    for name in _SHARED_FILES:
        (root / RUNS / name).symlink_to(home / RUNS / name)  # whoever writes first makes it


def _block(root: Path, home: Path) -> None:
    """Refuse what is blocked in `home` now: a picture that was taken down does not wait for a commit."""
    if (home / PLACES["blocked"]).is_file():
        shutil.copyfile(home / PLACES["blocked"], root / PLACES["blocked"])


def _settle_dvc(root: Path, home: Path, notes: Path) -> None:
    """Point DVC to the cache and the remotes of `home`; its notes on files stay with the slot, as paths there do."""
    with Repo(str(home)) as repo:
        cache = {"dir": str(repo.cache.legacy.path), "type": "reflink,hardlink,copy"}
        remotes = {name: dict(said) | {"url": str(said["url"])} for name, said in repo.config["remote"].items()}
        own = repo.config.load_one("local")
    (root / ".dvc" / "config.local").touch(mode=0o600)  # it may hold passwords
    with Config(str(root / ".dvc")).edit("local") as local:
        merge(local, own)
        merge(local, {"cache": cache, "remote": remotes})
    notes.mkdir(exist_ok=True)
    (root / ".dvc" / "tmp").symlink_to(notes)


def _lay_out(root: Path, home: Path) -> None:
    """Bring what params.yaml names and git does not hold: from DVC's cache if a .dvc file says so, or as a snapshot."""
    with Repo(str(root)) as repo:
        if added := [stage.path for stage in repo.index.stages if not isinstance(stage, PipelineStage)]:
            repo.checkout(added, allow_missing=True)
    for name in _texts(resolved(load(root))):
        if not os.path.exists(home / name) or os.path.lexists(root / name):  # noqa: PTH110 (a text may be anything)
            continue
        if os.path.normpath(name).startswith(".."):
            raise ValueError(
                f"{PARAMS_FILE}: {name} leads out of this folder: a workspace elsewhere wants its whole path"
            )
        snapshot(home / name, root / name)


def _texts(value: object) -> Iterator[str]:
    """List all texts within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
