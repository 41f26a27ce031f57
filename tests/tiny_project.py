"""A project of the tiny models whose real stages are as small as they can be: one iteration, one seed, one step.

laid_out(home); made(home)
"""

import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from dopsd.judging import JUDGED
from tasks import weak_teacher
from tasks.folders import read_yaml, write_text
from tasks.git import said
from tasks.pipeline import PLACES, STAGES
from tasks.planning.code_record import refresh
from tasks.runner import RUNS, run

_PROJECT = Path(__file__).parents[1]
_LEFT = "/data/\n/runs/\n/report/\n/ledger.jsonl\n/mlflow.db*\n/mlruns/\n.dvc/tmp\n.dvc/cache\n__pycache__/\n"


def laid_out(home: Path, *ignored: str, **sections: dict[str, Any]) -> None:
    """Commit code and params, with these sections, in a repository of their own; models stay where they are."""
    params = read_yaml(_PROJECT / "params.yaml")
    for name in ("base", "vlm", "dino", "clip"):
        params["models"][name] = str(_PROJECT / params["models"][name])
    params["train"] |= {"iterations": 1, "batch_size": 1, "num_steps": 1, "sample_every": 0}
    params["probe"] = {"seeds": [0]}
    params["evaluate"] |= {"seeds": [0], "metrics": list(JUDGED), "num_resamples": 100, "retention": "retention.txt"}
    for name, values in sections.items():
        params[name] |= values
    write_text(home / "params.yaml", yaml.safe_dump(params))
    write_text(home / "retention.txt", "a red ring\n")
    write_text(home / ".dvc/config", "[core]\n    analytics = false\n")
    for name in ("dvc.yaml", "constraints.txt", PLACES["blocked"]):
        write_text(home / name, (_PROJECT / name).read_text())
    for name in ("dopsd", "tasks", "flows"):
        shutil.copytree(_PROJECT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    write_text(home / ".gitignore", _LEFT + "".join(f"/{name}/\n" for name in ignored))
    said(home, "init", "--quiet")
    said(home, "add", ".")
    said(home, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "one")


def made(root: Path) -> None:
    """Do what `dopsd run --accept-weak-teacher` does, without a process a stage."""
    with chdir(root):
        for row in STAGES[:-1]:
            if row.name == "train" and weak_teacher.is_weak(Path(PLACES["probe"])):
                weak_teacher.accept(Path(PLACES["probe"]), RUNS)
            run(row, Path())
        refresh(Path())
        with Repo() as repo:
            for row in STAGES[:-1]:
                repo.commit(row.name, force=True)
        run(STAGES[-1], Path())
