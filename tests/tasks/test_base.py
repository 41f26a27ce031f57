"""The base as a version of a real registry: entered before what is made on it, once, and named by an alias."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tasks.ancestry.bases import bases
from tasks.ancestry.records import records
from tasks.folders import sha256_of_folder
from tasks.git import said
from tasks.params import load
from tasks.tracking import connect
from tasks.versions import aliases, base, promotion, registry
from tasks.versions.audit import audit
from tasks.versions.restored import restore
from tasks.versions.start import start_from
from tests.registered import as_it_was, project_of_two


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The base, v2 on it, and v3 trained on from v2."""
    return project_of_two(tmp_path_factory.mktemp("project"), empty_store)


@pytest.fixture
def root(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with as_it_was(project, tmp_path / "aside"):
        yield project


def enter(root: Path, name: str) -> str:
    return base.enter(root, "dopsd", name, folder="models/base", family="z-image")


def own(root: Path) -> str:
    """Name the base of the project."""
    return str(records(root, "dopsd")["v2"].lineage["base"])


def live() -> tuple[str, ...]:
    """Say which version the alias names, and how many bases there are."""
    return f"v{connect().get_model_version_by_alias('dopsd', 'base').version}", *registry.bases("dopsd")


def test_it_is_the_first_version_and_tells_what_it_is(root: Path) -> None:
    known = connect().get_model_version_by_alias("dopsd", "base")
    found = bases(root, "dopsd")["v1"]
    assert (str(known.version), known.tags["base"], known.tags["kind"]) == ("1", own(root), "base")
    assert (found.base, found.folder, found.family) == (own(root), load(root).models.base, "z-image")
    for told in (own(root), load(root).models.base, found.commit, found.entered["by"], "started by a person"):
        assert told in known.description, told
    assert (list(records(root, "dopsd")), list(registry.versions("dopsd"))) == (["v2", "v3"], ["v2", "v3"])


def test_its_commit_has_the_code_and_nothing_for_dvc_to_bring(root: Path) -> None:
    commit = bases(root, "dopsd")["v1"].commit
    assert said(root, "rev-parse", "model/dopsd/v1") == commit
    assert yaml.safe_load(said(root, "show", f"{commit}:dvc.lock"))["stages"] == {}
    before, images = said(root, "rev-parse", "--abbrev-ref", "HEAD"), sha256_of_folder(root / "data/images")
    try:
        checked_out(root, "model/dopsd/v1")
        assert not (root / "data/images").exists()  # what others left there is DVC's to bring back
        checked_out(root, "model/dopsd/v3")
        assert sha256_of_folder(root / "data/images") == images
    finally:
        said(root, "checkout", "--quiet", "--force", before)


def checked_out(root: Path, commit: str) -> None:
    said(root, "checkout", "--quiet", "--force", commit)
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "--quiet"], cwd=root, check=True)


def test_the_alias_follows_the_base_and_each_base_is_entered_once(root: Path) -> None:
    assert (enter(root, own(root)), live()) == ("v1", ("v1", "v1"))
    assert (enter(root, "other@1.dir"), live()) == ("v4", ("v4", "v1", "v4"))
    assert (enter(root, own(root)), live()) == ("v1", ("v1", "v1", "v4"))


def test_many_at_once_enter_one_version(root: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: enter(root, "other@1.dir"), range(8))) == {"v4"}
    assert live() == ("v4", "v1", "v4")


def test_a_crash_before_its_commit_is_made_good(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(base.version_commit, "kept", crash)
        enter(root, "other@1.dir")
    assert enter(root, "other@1.dir") == "v4"
    assert bases(root, "dopsd")["v4"].base == "other@1.dir"
    assert registry.bases("dopsd")["v4"]["commit"] == bases(root, "dopsd")["v4"].commit


def test_a_registry_of_before_there_were_such_versions_is_told_and_mended(root: Path) -> None:
    connect().delete_model_version("dopsd", "1")
    said(root, "tag", "-d", "model/dopsd/v1")
    (wrong,) = audit(root, "dopsd", is_strict=True)
    assert (wrong.edge, "which is no version: `dopsd model restore`" in wrong.wrong) == ("alias base", True)
    assert restore(root, "dopsd") == ["v4"]
    assert (live(), audit(root, "dopsd", is_strict=True)) == (("v4", "v4"), [])


def edges(root: Path) -> list[tuple[str, str]]:
    return [(wrong.version, wrong.edge) for wrong in audit(root, "dopsd", is_strict=True)]


def test_one_that_was_deleted_is_entered_anew_and_a_new_registry_has_both(
    root: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect().delete_model_version("dopsd", "1")
    assert edges(root) == [("-", "alias base"), ("v1", "registry")]
    assert (restore(root, "dopsd"), live(), edges(root)) == (["v4"], ("v4", "v4"), [])
    shutil.copyfile(empty_store, root / "another.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/another.db")
    assert restore(root, "dopsd") == ["v1", "v2", "v3", "v4"]
    assert audit(root, "dopsd", is_strict=True) == []


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_a_tag_of_git_that_is_gone_is_set_again(root: Path, version: str) -> None:
    commit = said(root, "rev-parse", f"model/dopsd/{version}")
    said(root, "tag", "-d", f"model/dopsd/{version}")
    assert ((version, "record") in edges(root), restore(root, "dopsd")) == (True, [version])
    assert (said(root, "rev-parse", f"model/dopsd/{version}"), edges(root)) == (commit, [])


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_version_that_was_trained_and_deleted_is_not_entered_under_another_number(root: Path, version: str) -> None:
    connect().delete_model_version("dopsd", version)
    with pytest.raises(ValueError, match=f"MLflow gives v{version} no second time"):
        restore(root, "dopsd")
    assert len(registry.versions("dopsd") | registry.bases("dopsd")) == 2


def promoted(root: Path) -> object:
    now = promotion.standing("dopsd", root)
    return promotion.promote("dopsd", "v1", "it was good", root, known=now, despite_rejection=True)


@pytest.mark.parametrize(
    "ask",
    [
        promoted, lambda root: registry.fetch("dopsd", "v1", root), lambda root: registry.fetch("dopsd", "base", root),
        lambda root: start_from(root, "v1"),
    ],
    ids=["promote", "fetch", "fetch by its alias", "start"],
)  # fmt: skip
def test_what_wants_a_training_says_that_it_is_the_base(root: Path, ask: Callable[[Path], object]) -> None:
    with pytest.raises(ValueError, match=r"v1 of dopsd is the base, nothing was trained.*: .*`base` is its name"):
        ask(root)
    assert aliases.aliases("dopsd")["champion"] == "v3"
