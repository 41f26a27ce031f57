"""A run starts from who is champion, unless the champion came of the very same pictures."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.override import override
from tasks.params import load
from tasks.tracking import connect
from tasks.versions.aliases import aliases
from tasks.versions.start import start_from
from tests.fake_workspace import FakeWorkspace
from tests.registered import as_it_was, project_of_two


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Two versions, v3 trained on from v2, of pictures that lie there still."""
    return project_of_two(tmp_path_factory.mktemp("project"), empty_store)


@pytest.fixture
def root(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project with v3 as champion, which is as it was when the test is over."""
    monkeypatch.chdir(project)
    with as_it_was(project, tmp_path):
        connect().set_registered_model_alias("dopsd", "champion", "3")
        yield project
    for file in (project / "photos").glob("new*"):
        file.unlink()


def parent(root: Path) -> str:
    return load(root).train.parent


def test_a_champion_that_came_of_the_same_pictures_is_not_trained_on_them_again(root: Path) -> None:
    assert aliases("dopsd")["champion"] == "v3"
    start = start_from(root, "champion")
    assert (start.version, start.reason) == ("v2", "the champion v3 came of these pictures")
    assert parent(root) == "v2"


def test_with_a_new_picture_or_a_new_caption_the_champion_is_the_start(root: Path) -> None:
    for name in ("new.png", "new.txt"):
        (root / "photos" / name).write_text("new")
        override(root, "train.parent", "base")
        start = start_from(root, "champion")
        assert (start.version, start.reason, parent(root)) == ("v3", "v3 is champion", "v3")
        (root / "photos" / name).unlink()
    assert start_from(root, "champion").version == "v2"


def test_whom_somebody_names_is_the_start_whatever_it_learnt(root: Path) -> None:
    for version in ("v3", "v2", "base"):
        assert start_from(root, version).version == version == parent(root)
    with pytest.raises(ValueError, match="the registry has no v10"):
        start_from(root, "v10")


def test_before_there_is_a_champion_it_is_the_base(tmp_path: Path, empty_store: Path, here: FakeWorkspace) -> None:
    start = start_from(here.root, "champion")
    assert (start.version, start.reason) == ("base", "there is no champion yet")


@pytest.fixture
def here(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    """A workspace with an empty registry."""
    made = FakeWorkspace.at(tmp_path)
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return made


def test_a_champion_whose_own_parent_is_gone_is_the_start(root: Path) -> None:
    connect().delete_model_version("dopsd", "2")
    assert start_from(root, "champion").version == "v3"


def test_old_pictures_are_not_laid_out_where_others_read(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "photos", tmp_path / "shared")
    try:
        override(root, "ingest.source", str(tmp_path / "shared"))
        override(root, "replay.share", 0.5)
        (root / "runs" / "recorded").symlink_to(tmp_path)  # as in a workspace that is lent
        with pytest.raises(ValueError, match=r"others read .*/shared, too: name a folder within the project"):
            start_from(root, "v3")
    finally:
        (root / "runs" / "recorded").unlink()
        override(root, "ingest.source", "photos")
        override(root, "replay.share", 0.0)


def test_a_start_that_fails_leaves_params_as_they_were_and_needs_nothing_that_stages_wrote(root: Path) -> None:
    before, code = (root / "params.yaml").read_text(), root / "data/code.json"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("tasks.versions.start.mix_in", _stopped)
        start_from(root, "v3")
    assert (root / "params.yaml").read_text() == before
    code.unlink()
    assert start_from(root, "champion").version == "v2"
    assert code.is_file()


def _stopped(*_: object) -> int:
    raise KeyboardInterrupt
