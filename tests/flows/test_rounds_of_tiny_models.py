"""Two rounds of the real stages, as small as they can be: what the second learns, replays and is asked for."""

import os
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest

import flows.commands.rounds as command
from flows.commands.run import _choose
from recipes.tiny.concepts import write_concepts
from tasks.folders import read_rows
from tasks.rounds.workspace import registry as registry_of
from tasks.versions import registry
from tasks.versions.audit import audit
from tests import tiny_project

pytestmark = pytest.mark.slow  # a minute of a processor; test_rounds tries the same without models

_IMAGES = 2


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the tiny models with two concepts of two captioned pictures each."""
    home = tmp_path / "home"
    write_concepts(home / "concepts", 2)
    for path in (home / "concepts").glob("*/*"):
        if int(path.stem) >= _IMAGES:
            path.unlink()
    tiny_project.laid_out(home, "concepts", compare={"concepts": str(home / "concepts")})
    monkeypatch.chdir(home)
    return home


def in_this_process(root: Path, parent: str) -> None:
    """Do what `dopsd run --parent` does, without a process a stage."""
    os.environ.update(registry_of(root))
    with chdir(root):
        _choose(parent)
        if parent != "base":
            registry.fetch("dopsd", parent, Path())
    tiny_project.made(root)


def test_the_second_round_goes_on_from_the_first_and_learns_its_pictures_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_run", in_this_process)
    command.rounds(Path("report"), number=2, arms="replayed")
    root = home / "report/replayed"
    learnt = sorted(row["source"].rpartition("/")[0] for row in read_rows(root / "data/images/images.jsonl"))
    assert learnt == ["", "", "replayed/v2", "replayed/v2"]
    frame = pd.read_csv("report/rounds.csv").set_index(["round", "concept"])
    assert len(frame) == 3
    (first,) = frame.loc[1].index
    assert frame.loc[(2, first)]["parent"] == pytest.approx(frame.loc[(1, first)]["new"], abs=1e-4)
    assert frame.loc[(2, first)]["base"] == pytest.approx(frame.loc[(1, first)]["base"], abs=1e-4)
    assert audit(root, "dopsd", is_strict=True) == []
