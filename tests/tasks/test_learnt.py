"""The panels of concepts that a parent learnt come out of DVC, and evaluate is asked for them again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.folders import sha256_of_folder
from tasks.override import override
from tasks.params import load
from tasks.versions import learnt, parent
from tasks.versions.start import start_from
from tests.registered import project_of_two


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """v2 on the base, and v3 trained on from it, of one concept."""
    return project_of_two(tmp_path_factory.mktemp("project"), empty_store)


@pytest.fixture
def root(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project about to learn another concept."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = (project / "params.yaml").read_text()
    override(project, "caption.placeholder", "[W]")
    yield project
    (project / "params.yaml").write_text(said)
    shutil.rmtree(project / "runs/earlier", ignore_errors=True)


def asked(root: Path) -> tuple[str, ...]:
    return load(root).evaluate.earlier


def test_the_newest_version_of_each_other_concept_is_asked_for(root: Path) -> None:
    start = start_from(root, "v3")
    assert (asked(root), start.num_earlier) == (("runs/earlier/v3",), 1)
    assert sha256_of_folder(root / "runs/earlier/v3") == sha256_of_folder(root / "data/scores/panel")
    assert start_from(root, "v2").num_earlier == 1
    assert asked(root) == ("runs/earlier/v2",)


def test_the_concept_that_is_learnt_and_the_base_have_nothing_to_ask_for(root: Path) -> None:
    start_from(root, "v3")
    assert (start_from(root, "base").num_earlier, asked(root)) == (0, ())
    override(root, "caption.placeholder", "[V]")
    assert (start_from(root, "v3").num_earlier, asked(root)) == (0, ())


def test_what_a_person_named_stays_and_is_not_asked_for_twice(root: Path, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    shutil.copytree(root / "data/scores/panel", mine)  # of v3
    shutil.copytree(root / "data/scores/panel", other)
    (other / "panel.jsonl").write_text("")
    override(root, "evaluate.earlier", [str(other)])
    start_from(root, "v3")
    assert asked(root) == (str(other), "runs/earlier/v3")
    override(root, "evaluate.earlier", [str(mine)])
    start_from(root, "v3")
    assert asked(root) == (str(mine),)


def test_elsewhere_they_are_brought_again(root: Path) -> None:
    start_from(root, "v3")
    digest = sha256_of_folder(root / "runs/earlier/v3")
    shutil.rmtree(root / "runs/earlier")
    parent.bring_parent(root)
    assert sha256_of_folder(root / "runs/earlier/v3") == digest


def test_a_version_of_which_dvc_has_too_little_is_left_out(root: Path, tmp_path: Path) -> None:
    shutil.move(root / ".dvc/cache", tmp_path / "cache")
    try:
        assert learnt.lay_out(root, "v3", load(root)) == []
    finally:
        shutil.move(tmp_path / "cache", root / ".dvc/cache")
