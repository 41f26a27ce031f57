"""Three trainings of the real stages, as small as they can be: what gc leaves trains to the same bits again."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app
from tasks.folders import write_text
from tasks.git import said
from tasks.override import override
from tasks.versions import registry
from tests import tiny_project

pytestmark = pytest.mark.slow  # a minute of a processor; test_rebuilding tries the same without models

_SAMPLES = Path(__file__).parents[2] / "samples/new-concept"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """v3 and v4 go on from v2, v3 by another learning rate, v4 by a picture more; the folder went back to before all.

    The model captions the last picture; the others have captions.
    """
    home = tmp_path / "home"
    write_text(home / "novel.txt", "a [V] on a red ground\n")
    tiny_project.laid_out(home, "photos", ingest={"source": "photos"}, evaluate={"novel": "novel.txt"})
    monkeypatch.chdir(home)
    take(home, "star-01.png", "star-01.txt", "star-02.png", "star-02.txt")
    tiny_project.made(home)
    override(home, "train.parent", "v2")
    registry.fetch("dopsd", "v2", home)
    override(home, "train.learning_rate", 1e-3)
    tiny_project.made(home)
    override(home, "train.learning_rate", 8e-5)
    take(home, "star-08.png")
    tiny_project.made(home)
    said(home, "checkout", "--quiet", "params.yaml")
    (home / "dvc.lock").unlink()
    for name in ("photos", "data", "runs"):
        shutil.rmtree(home / name)
    return home


def take(home: Path, *names: str) -> None:
    (home / "photos").mkdir(exist_ok=True)
    for name in names:
        shutil.copyfile(_SAMPLES / name, home / "photos" / name)


def dopsd(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.usefixtures("home")
def test_versions_that_stay_train_to_the_same_bits_again() -> None:
    gone = dopsd("gc", "apply", "--yes", "--keep-versions", "1", "--keep-recent", "0s")
    assert "(dopsd v3)" in gone.stdout, gone.output
    whole = dopsd("audit", "--strict")
    assert whole.exit_code == 0, whole.output
    for version in ("v2", "v4"):
        again = dopsd("model", "reproduce", version)
        assert f"{version} is what it was, bit by bit" in again.stderr, again.output
