"""Two rounds of the real stages, as small as they can be: what the second learns, replays and is asked for."""

import os
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

import flows.rounds as command
from dopsd.recipe import JUDGED
from flows.run import _choose
from recipes.tiny.concepts import write_concepts
from tasks import weak_teacher
from tasks.folders import read_rows, read_yaml, write_text
from tasks.git import said
from tasks.pipeline import PLACES, STAGES
from tasks.planning.code_record import refresh
from tasks.rounds.workspace import registry as registry_of
from tasks.runner import RUNS, run
from tasks.versions import registry
from tasks.versions.audit import audit

pytestmark = pytest.mark.slow  # a minute of a processor; test_rounds tries the same without models

_PROJECT = Path(__file__).parents[2]
_IMAGES = 2


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the tiny models with two concepts of two captioned pictures each."""
    home = tmp_path / "home"
    write_concepts(home / "concepts", 2)
    for path in (home / "concepts").glob("*/*"):
        if int(path.stem) >= _IMAGES:
            path.unlink()
    params = read_yaml(_PROJECT / "params.yaml")
    for name in ("base", "vlm", "dino", "clip"):
        params["models"][name] = str(_PROJECT / params["models"][name])
    params["train"] |= {"iterations": 1, "batch_size": 1, "num_steps": 1, "sample_every": 0}
    params["probe"] = {"seeds": [0]}
    params["evaluate"] |= {"seeds": [0], "metrics": list(JUDGED), "num_resamples": 100, "retention": "retention.txt"}
    params["compare"] = {"concepts": str(home / "concepts")}
    write_text(home / "params.yaml", yaml.safe_dump(params))
    write_text(home / "retention.txt", "a red ring\n")
    write_text(home / ".dvc/config", "[core]\n    analytics = false\n")
    for name in ("dvc.yaml", "constraints.txt", PLACES["blocked"]):
        write_text(home / name, (_PROJECT / name).read_text())
    for name in ("dopsd", "tasks", "flows"):
        (home / name).symlink_to(_PROJECT / name)
    write_text(
        home / ".gitignore",
        "/concepts/\n/report/\n/data/\n/runs/\n/ledger.jsonl\n/mlflow.db*\n/mlruns/\n.dvc/tmp\n.dvc/cache\n",
    )
    said(home, "init", "--quiet")
    said(home, "add", ".")
    said(home, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "one")
    monkeypatch.chdir(home)
    return home


def in_this_process(root: Path, parent: str) -> None:
    """Do what `dopsd run --parent` does, without a process a stage, and let DVC keep what came of it."""
    os.environ.update(registry_of(root))
    with chdir(root):
        _choose(parent)
        if parent != "base":
            registry.fetch("dopsd", parent, Path())
        for row in STAGES[:-1]:
            if row.name == "train" and weak_teacher.is_weak(Path(PLACES["probe"])):
                weak_teacher.accept(Path(PLACES["probe"]), RUNS)
            run(row, Path())
        refresh(Path())
        with Repo() as repo:
            for row in STAGES[:-1]:
                repo.commit(row.name, force=True)
        run(STAGES[-1], Path())


def test_the_second_round_goes_on_from_the_first_and_learns_its_pictures_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_run", in_this_process)
    command.rounds(Path("report"), number=2, arms="replayed")
    root = home / "report/replayed"
    learnt = sorted(row["source"].rpartition("/")[0] for row in read_rows(root / "data/images/images.jsonl"))
    assert learnt == ["", "", "replayed/v1", "replayed/v1"]
    frame = pd.read_csv("report/rounds.csv").set_index(["round", "concept"])
    assert len(frame) == 3
    (first,) = frame.loc[1].index
    assert frame.loc[(2, first)]["parent"] == pytest.approx(frame.loc[(1, first)]["new"], abs=1e-4)
    assert frame.loc[(2, first)]["base"] == pytest.approx(frame.loc[(1, first)]["base"], abs=1e-4)
    assert audit(root, "dopsd", is_strict=True) == []
