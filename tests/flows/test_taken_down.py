"""What a takedown leaves: whole versions that never had the picture, and words where it cannot go further."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dvc.repo import Repo
from typer.testing import CliRunner

from flows.cli import app
from tasks.ancestry.records import records, stages
from tasks.git import said
from tasks.override import override
from tasks.params import load
from tasks.takedown.plan import Plan
from tasks.takedown.receipt import Receipt, receipts
from tasks.versions.audit import audit
from tasks.versions.pushed import push
from tasks.versions.restored import restore
from tasks.versions.start import start_from
from tasks.versions.stored import stores
from tasks.versions.version_commit import cached_outs
from tests.history import png
from tests.registered import commit
from tests.takedowns import WHY, begun, learnt, planned, taken_down

GONE = "photos/2.png"
_ITS_OWN = 5
"""The shade of the one grid that no version but v3 has."""


@dataclass
class Story:
    """A project after a takedown, and what was planned before and after."""

    root: Path
    before: Plan
    after: Plan


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Story]:
    """v2 and v3 begin at the base; v3 has a photo more, the same grid of its probe, and entries that say the same.

    An earlier process meant to remove that grid, and died.
    """
    root = tmp_path_factory.mktemp("project")
    shutil.copyfile(empty_store, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        begun(root)
        learnt(root, 1, 0, 1, shades=(1, 2), entry="the same")
        commit(root)
        _committed_elsewhere(root)
        learnt(root, 2, 2, shades=(1, _ITS_OWN), entry="the same")
        before = planned(root, GONE)
        row = {"place": "DVC cache", "name": "(data/probe/grid.png)", "digest": shared(root)}
        Receipt(before.wanted.name, GONE, "a", WHY).intend(root, [row])
        taken_down(root, GONE, deaths=2)
        yield Story(root, before, planned(root, GONE))


def _committed_elsewhere(root: Path) -> None:
    """Let git hold the photo under other names: in an older commit, and on another branch."""
    for name in ("mine/replayed/v3/old.png", "mine/größer.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(2))
    said(root, "add", "mine/replayed")
    commit_of(root)
    said(root, "rm", "--quiet", "--cached", "mine/replayed/v3/old.png")
    commit_of(root)
    said(root, "checkout", "--quiet", "-b", "another")
    said(root, "add", "mine/größer.png")
    commit_of(root)
    said(root, "checkout", "--quiet", "-")
    shutil.rmtree(root / "mine")


def commit_of(root: Path) -> None:
    said(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "a change")


@pytest.fixture(autouse=True)
def inside(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(story.root)


def kept(root: Path, version: str) -> dict[str, str]:
    """Give DVC's digests of everything that it keeps of a version."""
    return {place: str(one) for place, one in cached_outs(stages(root, records(root, "dopsd")[version])).items()}


def of(root: Path, version: str, place: str, name: str = "grid.png") -> str:
    with stores(root) as stored:
        return stored.files(kept(root, version)[place])[name]


def shared(root: Path) -> str:
    assert of(root, "v2", "probe") == of(root, "v3", "probe")
    return of(root, "v2", "probe")


def test_a_version_that_never_had_it_can_be_brought_whole_from_the_cache_and_from_the_remote(
    story: Story, tmp_path: Path
) -> None:
    shutil.copytree(story.root, tmp_path / "there", symlinks=True)
    for number in range(2):
        with stores(tmp_path / "there") as stored:
            for place, digest in kept(story.root, "v2").items():
                stored.bring(digest, tmp_path / f"{number}/{place}")
        shutil.rmtree(tmp_path / "there/.dvc/cache", ignore_errors=True)  # gone the second time


def test_what_it_has_is_neither_planned_to_go_nor_listed_as_removed(story: Story) -> None:
    assert not {trace.digest for trace in story.before.traces} & {shared(story.root), _entry(story.root)}
    (receipt,) = receipts(story.root)
    assert not {row["digest"] for row in receipt.removed} & {shared(story.root), _entry(story.root)}
    assert receipt.is_done
    assert story.after.is_clean, story.after
    assert audit(story.root, "dopsd", is_strict=True) == []


def _entry(root: Path) -> str:
    (entry,) = {one for name, one in _entries(root, "v2").items() if name.startswith("entries/")}
    return entry


def _entries(root: Path, version: str) -> dict[str, str]:
    with stores(root) as stored:
        return stored.files(kept(root, version)["embeddings"])


def test_the_grid_that_it_has_stays_in_the_workspace_and_others_go(story: Story) -> None:
    assert (story.root / "data/probe/grid.png").is_file()
    assert not (story.root / "data/scores/grid.png").is_file()
    with stores(story.root) as stored, pytest.raises(FileNotFoundError):
        stored.bring(of(story.root, "v3", "scores"), story.root / "runs/grid.png")


def test_no_run_begins_at_a_version_that_was_taken_down(story: Story) -> None:
    chosen = load(story.root).train.parent
    with pytest.raises(ValueError, match=r"v3 was taken down \(takedowns/.*json\): choose another"):
        start_from(story.root, "v3")
    assert load(story.root).train.parent == chosen


def test_that_it_was_taken_down_is_told_by_reproduce_without_a_registry(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nothing://that/is/there")
    told = CliRunner().invoke(app, ["model", "reproduce", "v3", "--despite-environment"])
    assert told.exit_code == 1
    assert f"v3 was taken down (takedowns/{story.before.wanted.name}.json): choose another" in told.stderr


def test_every_path_in_the_history_is_told_before_and_after(story: Story) -> None:
    held = ("mine/größer.png", "mine/replayed/v3/old.png")
    assert story.before.tracked == story.after.tracked == held
    told = CliRunner().invoke(app, ["takedown", "verify", GONE])
    assert told.exit_code == 0, told.output
    for path in held:
        assert f"git: {path} is in its history, which is not rewritten" in told.stdout
    assert "nothing of it is left but in git's history" in told.stdout


def test_a_registry_that_is_restored_does_not_show_it_again(
    story: Story, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    shutil.copytree(story.root, root, symlinks=True)
    shutil.rmtree(root / "mlruns")
    shutil.copyfile(empty_store, root / "another.db")
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/another.db")
    assert restore(root, "dopsd") == ["v1", "v2", "v3"]
    assert planned(root, GONE).is_clean
    assert audit(root, "dopsd", is_strict=True) == []


def test_a_grid_that_a_later_version_draws_again_is_its_own(story: Story, tmp_path: Path) -> None:
    removed = of(story.root, "v3", "scores")
    learnt(story.root, 3, shades=(1, _ITS_OWN), entry="the same")
    assert of(story.root, "v4", "scores") == removed
    assert planned(story.root, GONE).is_clean
    with Repo(str(story.root)) as repo:
        repo.cloud.get_remote_odb().delete(removed)
    assert [row.version for row in audit(story.root, "dopsd", is_strict=True)] == ["v4"]
    assert push(story.root, "dopsd").num_sent == 1
    assert audit(story.root, "dopsd", is_strict=True) == []


def test_a_panel_that_was_laid_out_for_a_run_is_looked_through(story: Story, tmp_path: Path) -> None:
    panel, asked = story.root / "runs/earlier/v3", tmp_path / "asked.png"
    panel.mkdir(parents=True)
    for path in (panel / "target.png", asked):
        path.write_bytes(png(2))
    try:
        (found,) = (trace for trace in planned(story.root, str(asked)).traces if trace.place == "panels")
    finally:
        shutil.rmtree(panel)
    assert found.path == panel / "target.png"


def test_the_folder_that_a_version_hit_learnt_from_is_looked_through_though_params_name_another(
    story: Story, tmp_path: Path
) -> None:
    left, asked = story.root / "photos/again.png", tmp_path / "asked.png"
    for path in (left, asked):
        path.write_bytes(png(2))
    said = (story.root / "params.yaml").read_text()
    (story.root / "other").mkdir()
    try:
        override(story.root, "ingest.source", "other")
        found = [trace.path for trace in planned(story.root, str(asked)).traces if trace.place == "source"]
    finally:
        left.unlink()
        (story.root / "other").rmdir()
        (story.root / "params.yaml").write_text(said)
    assert found == [left]
