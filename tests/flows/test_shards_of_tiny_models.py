"""Captions and embeddings of the tiny models, made in shards by a machine that shares no disk with who asks."""

import shutil
from pathlib import Path

import pytest
import yaml

from tasks.folders import read_yaml, write_text
from tests.machines import ROOT, cloned, machines
from tests.repository import git

pytestmark = pytest.mark.slow  # a process and a model for every shard; test_shards and test_division try the same

ROOMS = ("dopsd", "tasks", "flows", "models", "panels", "samples", "recipes")
FILES = ("params.yaml", "dvc.yaml", "prefect.yaml", "pyproject.toml", "constraints.txt", "blocked.jsonl", ".gitignore")


def lay_out(top: Path) -> None:
    """Make clones of this repository, whose params.yaml wants two images a shard."""
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "--", *ROOMS, *FILES).splitlines():
        (top / "seed" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, top / "seed" / name)
    params = read_yaml(top / "seed/params.yaml")
    params["machine"] = {"images_per_shard": 2, "shards_at_once": 2}
    write_text(top / "seed/params.yaml", yaml.safe_dump(params))
    cloned(top / "seed", top)


def test_what_another_machine_makes_in_shards_is_what_one_machine_makes(tmp_path: Path) -> None:
    with machines(tmp_path, lay_out) as made:
        for _ in range(2):
            made.worker("gpu", "--limit", "1")
        made.typed("cpu", "python", "-m", "flows.cli", "run", "--until", "embed", DOPSD_POOL="cpu")
        shards = made.ask("flow_runs/filter", deployments={"name": {"any_": ["shard"]}})
        assert {run["state_name"] for run in shards} == {"Completed"}
        assert len(shards) == 3 + 6  # five images want a caption, twelve want to be embedded
        made.typed("undisturbed", "dvc", "repro", "embed")
    locks = [read_yaml(tmp_path / name / "dvc.lock")["stages"] for name in ("cpu", "undisturbed")]
    for stage in ("caption", "embed"):
        one, another = (lock[stage]["outs"] for lock in locks)
        assert one == another
    stores = [{path.name for path in (tmp_path / name / "runs/store").rglob("??/*")} for name in ("cpu", "gpu")]
    assert stores[0] == stores[1] != set()
