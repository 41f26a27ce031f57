"""`dopsd train`: in a project it writes what is asked for into params.yaml, outside of one it needs a folder alone."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from dopsd.bench import memory
from dopsd.footprint.plan import Part
from dopsd.recipe import Training
from dopsd.weights.trained import FILE
from flows.cli import app
from tests.fake_workspace import FakeWorkspace
from tests.one_process import repro


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> FakeWorkspace:
    workspace = FakeWorkspace.at(tmp_path_factory.mktemp("done"))
    train = {"method": "sft", "iterations": 20, "step_weights": [1.0, 2.0], "num_steps": 2}
    params = yaml.safe_load((workspace.root / "params.yaml").read_text())
    workspace.set_params(params | {"train": params["train"] | train})
    repro(workspace)
    return workspace


def dopsd(line: str) -> Result:
    return CliRunner().invoke(app, line.split()[1:])


def test_what_is_asked_for_stands_in_params_yaml_and_is_run_as_any_other(workspace: FakeWorkspace) -> None:
    wanted = (workspace.root / "params.yaml").read_text()
    for key, value in {"method": "pso", "iterations": 7, "step_weights": [], "parent": "v7"}.items():
        workspace.change(f"train.{key}", value)
    result = dopsd("dopsd train --method sft --iterations 20 --init base --set step_weights=1,2")
    assert result.exit_code == 0, result.output
    assert "params.yaml: train.method is now sft" in result.stderr
    assert "params.yaml: trains on from base: as asked" in result.stderr
    assert "nothing to do" in result.stderr  # these are the params of the training that is there
    assert yaml.safe_load((workspace.root / "params.yaml").read_text()) == yaml.safe_load(wanted)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dopsd train --iterations 0", "train.iterations is 0: give a number >= 1"),
        ("dopsd train --iterations many", "train.iterations is 'many'"),
        ("dopsd train --method magic", "train.method is 'magic'"),
        ("dopsd train --set rnk=4", "train.rnk is no key; there are method, weights"),
        ("dopsd train --set rank", "--set rank: write KEY=VALUE"),
        ("dopsd train --out tuned", "name --entries, too"),
        ("dopsd train --entries data --out tuned", "name --base and --out, too"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(workspace: FakeWorkspace, line: str, message: str) -> None:
    before = (workspace.root / "params.yaml").read_text()
    result = dopsd(line)
    assert result.exit_code == 1
    assert message in result.stderr
    assert (workspace.root / "params.yaml").read_text() == before


def test_all_that_is_right_is_written_only_where_all_is_right(workspace: FakeWorkspace) -> None:
    before = (workspace.root / "params.yaml").read_text()
    assert dopsd("dopsd train --method dopsd --iterations 0").exit_code == 1
    assert (workspace.root / "params.yaml").read_text() == before


def test_outside_of_a_project_the_folders_are_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = dopsd("dopsd train --entries nowhere --base models/tiny-z-image --out tuned --iterations 2")
    assert result.exit_code == 1
    assert "nowhere holds no *.safetensors" in result.stderr
    (tmp_path / "start").mkdir()
    result = dopsd("dopsd train --entries nowhere --base b --out tuned --init start")
    assert f"start has no {FILE}: outside of a project --init is the folder of an adapter" in result.stderr
    result = dopsd("dopsd train --entries nowhere --base b --out tuned --method sft-parent")
    assert "sft-parent trains on the undistilled model: run it in a project" in result.stderr


def test_memory_is_explained_for_what_is_said_and_nothing_is_trained_or_written(
    workspace: FakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def of_base(base: Path, family: str, training: Training, **_: object) -> list[Part]:
        asked.append((family, training.weights, training.batch_size))
        return [Part("frozen weights", 3 * 2**30)]

    monkeypatch.setattr(memory, "of_base", of_base)
    before = (workspace.root / "params.yaml").read_text()
    result = dopsd("dopsd train --explain-memory --weights full --set batch_size=9")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "frozen weights      3.00 GiB  device",
        "together            3.00 GiB  device",
    ]
    assert asked == [("z-image", "full", 9)]
    assert (workspace.root / "params.yaml").read_text() == before
