"""A whole chain passes; with any one edge broken, the audit fails and says which."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dopsd.weights.trained import FILE
from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE, records
from tasks.folders import read_json
from tasks.git import said
from tasks.tracking import connect
from tasks.versions import audit as auditing
from tasks.versions import ledger
from tasks.versions.pushed import push
from tests.registered import as_it_was, commit, project_of_two, registered, score

Breaker = Callable[[Path], None]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Two versions, v3 trained on from v2."""
    return project_of_two(tmp_path_factory.mktemp("project"), empty_store)


@pytest.fixture
def root(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project, which is as it was when the test is over."""
    monkeypatch.chdir(project)
    with as_it_was(project, tmp_path):
        yield project


def edges(root: Path, *, is_strict: bool = False) -> set[tuple[str, str]]:
    return {(row.version, row.edge) for row in auditing.audit(root, "dopsd", is_strict=is_strict)}


def stored(root: Path, digest: str) -> Path:
    return root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]


def out(root: Path, version: str, path: str) -> Path:
    """Find what DVC keeps of an output of a version: the list of its files, or the file."""
    lock = said(root, "show", f"model/dopsd/{version}:dvc.lock")
    return stored(root, lock.partition(f"path: {path}\n")[2].partition("md5: ")[2].partition("\n")[0].strip())


def lost(path: str) -> Breaker:
    return lambda root: out(root, "v3", path).unlink()


def one_image(root: Path) -> Path:
    listed = out(root, "v3", "data/images").read_text()
    name = f'"relpath": "files/{"2" * 32}.png"'
    assert name in listed
    return stored(root, listed.partition(name)[0].rpartition('"md5": "')[2][:32])


def lost_image(root: Path) -> None:
    one_image(root).unlink()


def rotten(path: Path) -> None:
    """Change bytes and keep their number and time."""
    state = path.stat()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def lost_object(root: Path, name: str) -> None:
    blob = said(root, "rev-parse", name)
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()


def weights(root: Path) -> Path:
    return sorted((root / "mlruns").rglob(FILE), key=lambda path: path.stat().st_mtime_ns)[-1]


def tag(key: str, value: str) -> Breaker:
    return lambda _: connect().set_model_version_tag("dopsd", "3", key, value)


def lost_run(root: Path) -> None:
    connect().delete_run(records(root, "dopsd")["v3"].run_id)


def beside(root: Path, version: str) -> Path:
    """Find the folder that is kept beside the run of a version."""
    run_id = connect().get_model_version("dopsd", version[1:]).run_id
    return next((root / "mlruns").rglob(f"{run_id}/artifacts/record"))


def forgotten(root: Path) -> None:
    shutil.rmtree(beside(root, "v3"))


def edited(file: str, old: str, new: str) -> Breaker:
    def edit(root: Path) -> None:
        path = beside(root, "v3") / file
        assert old in path.read_text(), f"{old!r} is not in {file}"
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


def replaced(file: str) -> Breaker:
    """Put in place of a file the one of another version."""
    return lambda root: print(shutil.copyfile(beside(root, "v2") / file, beside(root, "v3") / file))


def padded(file: str) -> Breaker:
    return lambda root: print((beside(root, "v3") / file).open("ab").write(b"\n"))


def edited_ledger(root: Path) -> None:
    path = root / "ledger.jsonl"
    path.write_text(path.read_text().replace("passed", "failed", 1))


def shorter_ledger(root: Path) -> None:
    path = root / "ledger.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])


BREAKS: dict[str, tuple[Breaker, set[tuple[str, str]]]] = {
    "a tag of git": (lambda root: print(said(root, "tag", "-d", "model/dopsd/v3")), {("v3", "record")}),
    "the tag of the parent": (
        lambda root: print(said(root, "tag", "-d", "model/dopsd/v2")), {("v2", "record"), ("v3", "parent")},
    ),
    "the commit of the code": (lambda root: lost_object(root, "model/dopsd/v3^"), {("v3", "code")}),
    "a file of the commit": (lambda root: lost_object(root, "model/dopsd/v3:params.yaml"), {("v3", "commit")}),
    "the list of images": (lambda root: lost_object(root, "model/dopsd/v3:lineage/images.jsonl"), {("v3", "commit")}),
    "the record": (lambda root: lost_object(root, "model/dopsd/v3:lineage/lineage.json"), {("-", "record")}),
    "an image": (lost_image, {("v3", "images")}),
    "the images": (lost("data/images"), {("v3", "images")}),
    "the captions": (lost("data/captions"), {("v3", "captions")}),
    "the adapter": (lost("data/adapter"), {("v3", "adapter")}),
    "the scores": (lost("data/scores"), {("v3", "scores")}),
    "the record beside the run": (
        forgotten, {("v3", edge) for edge in ("run", "images", "captions", "evaluation", "verdict")},
    ),
    "a verdict": (tag("verdict", "REJECT"), {("v3", "verdict")}),
    "a tag of the lineage": (tag("dataset", "0" * 32 + ".dir"), {("v3", "tag dataset")}),
    "the run": (lost_run, {("v3", "run")}),
    "the run and a tag": (
        lambda root: (lost_run(root), tag("dataset", "x")(root))[1], {("v3", "run"), ("v3", "tag dataset")},
    ),
    "the weights": (lambda root: weights(root).unlink(), {("v3", "weights")}),
    "bytes of the weights": (lambda root: rotten(weights(root)), {("v3", "weights")}),
    "the version": (
        lambda _: connect().delete_model_version("dopsd", "3"), {("v3", "registry"), ("-", "alias champion")},
    ),
    "an alias": (lambda _: connect().set_registered_model_alias("dopsd", "champion", "2"), {("-", "alias champion")}),
    "the alias of the base": (
        lambda _: connect().delete_registered_model_alias("dopsd", "base"), {("-", "alias base")},
    ),
    "the alias of the base on another version": (
        lambda _: connect().set_registered_model_alias("dopsd", "base", "2"), {("-", "alias base")},
    ),
    "the base": (lambda _: connect().delete_model_version("dopsd", "1"), {("v1", "registry"), ("-", "alias base")}),
    "what the base is": (
        lambda _: connect().set_model_version_tag("dopsd", "1", "base", "other@1"),
        {("v1", "tag base"), ("-", "alias base")},
    ),
    "that it is a base": (
        lambda _: connect().delete_model_version_tag("dopsd", "1", "kind"), {("v1", "tag kind"), ("-", "alias base")},
    ),
    "the tag of git of the base": (lambda root: print(said(root, "tag", "-d", "model/dopsd/v1")), {("v1", "record")}),
    "that it was trained": (tag("kind", "base"), {("v3", "tag kind")}),
    "a takedown that was none": (tag("takedown", "takedowns/x.json"), {("v3", "tag takedown")}),
    "what started the run": (
        lambda root: connect().delete_tag(records(root, "dopsd")["v3"].run_id, "trigger"), {("v3", "run")},
    ),
    "the page of the base": (lambda _: connect().update_model_version("dopsd", "1", "a toy"), {("v1", "page")}),
    "the params": (tag("params", "x"), {("v3", "tag params")}),
    "who entered it": (
        lambda _: connect().delete_model_version_tag("dopsd", "3", "by"), {("v3", "tag by")},
    ),
    "what started it": (tag("trigger", "nobody"), {("v3", "tag trigger")}),
    "a tag of the run": (
        lambda root: connect().delete_tag(records(root, "dopsd")["v3"].run_id, "parent"), {("v3", "run")},
    ),
    "the verdict of the run": (
        lambda root: connect().set_tag(records(root, "dopsd")["v3"].run_id, "verdict", "HOLD"), {("v3", "run")},
    ),
    "the record of the base": (
        lambda root: lost_object(root, "model/dopsd/v1:lineage/base.json"), {("-", "record")},
    ),
    "a file of the commit of the base": (lambda root: lost_object(root, "model/dopsd/v1:dvc.lock"), {("v1", "commit")}),
    "a line of the ledger": (edited_ledger, {("-", "ledger")}),
    "the end of the ledger": (shorter_ledger, {("-", "alias champion"), ("-", "ledger"), ("v3", "verdict")}),
}  # fmt: skip


SHOWN: dict[str, tuple[Breaker, set[tuple[str, str]]]] = {
    "the page": (lambda _: connect().update_model_version("dopsd", "3", "a toy"), {("v3", "page")}),
    "the scores": (tag("scores", "{}"), {("v3", "tag scores")}),
    "the digest of a file": (
        lambda _: connect().delete_model_version_tag("dopsd", "3", "record/marks.json"), {("v3", "evaluation")},
    ),
    "the weights of the base": (lambda root: shutil.rmtree(root / "models/base"), {("v1", "weights")}),
    "bytes of the base": (lambda root: rotten(root / "models/base/w"), {("v1", "weights")}),
}  # fmt: skip
"""What is looked at by the strict alone."""

EDITS: dict[str, tuple[str, list[Breaker]]] = {
    "lineage.json": ("run", [
        edited("lineage.json", '"learning_rate": 0.001', '"learning_rate": 0.002'),
        edited("lineage.json", '"mean": -0.3', '"mean": -0.4'), edited("lineage.json", '"mean": -0.3', '"mean": NaN'),
        edited("lineage.json", "{", "["), replaced("lineage.json"), padded("lineage.json"),
    ]),
    "images.jsonl": ("images", [edited("images.jsonl", "2.png", "3.png"), replaced("images.jsonl")]),
    "captions.jsonl": ("captions", [edited("captions.jsonl", "a [V]", "the [V]"), replaced("captions.jsonl")]),
    "marks.json": ("evaluation", [edited("marks.json", "-0.3", "-0.9"), replaced("marks.json")]),
    "grid.png": ("evaluation", [padded("grid.png")]),
    "verdict.png": ("verdict", [padded("verdict.png")]),
    "ledger.jsonl": ("verdict", [
        edited("ledger.jsonl", "passed", "failed"), replaced("ledger.jsonl"), padded("ledger.jsonl"),
        lambda root: print((beside(root, "v3") / "ledger.jsonl").write_bytes(b"")),
    ]),
    "page.md": ("run", [edited("page.md", "PROMOTE", "REJECT"), replaced("page.md")]),
}  # fmt: skip
"""What lies beside a run: the edge that breaks, and ways to change it."""


def test_a_whole_chain_passes(root: Path) -> None:
    assert auditing.audit(root, "dopsd", is_strict=True) == []


@pytest.mark.parametrize("name", BREAKS)
def test_each_edge_that_breaks_is_named(root: Path, name: str) -> None:
    breaks, wanted = BREAKS[name]
    breaks(root)
    assert edges(root) == wanted


@pytest.mark.parametrize("name", SHOWN)
def test_what_the_strict_alone_look_at_is_named(root: Path, name: str) -> None:
    breaks, wanted = SHOWN[name]
    breaks(root)
    assert edges(root) == set()
    assert edges(root, is_strict=True) == wanted


def test_only_reading_every_byte_finds_a_byte_that_changed(root: Path) -> None:
    rotten(one_image(root))
    assert edges(root) == set()
    assert edges(root, is_strict=True) == {("v3", "images")}


@pytest.mark.parametrize("file", EDITS)
def test_each_way_to_change_what_lies_beside_a_run_is_named(root: Path, file: str) -> None:
    path, (edge, ways) = beside(root, "v3") / file, EDITS[file]
    kept = path.read_bytes()
    for change in ways:
        change(root)
        rows = auditing.audit(root, "dopsd", is_strict=True)
        (found,) = (row for row in rows if row.edge not in ("page", "tag scores"))  # they are compared with these files
        assert (found.version, found.edge) == ("v3", edge)
        assert f"record/{file} of its run was changed: " in found.wrong
        path.write_bytes(kept)
    ways[0](root)
    assert edges(root) == set(), "it is not read"


def test_everything_that_is_kept_beside_a_run_is_read(root: Path) -> None:
    assert {path.name for path in beside(root, "v3").iterdir()} == set(EDITS)


def test_of_a_version_of_before_there_were_digests_little_is_said(root: Path) -> None:
    for file in ("marks.json", "grid.png", "verdict.png", "page.md"):
        connect().delete_model_version_tag("dopsd", "3", f"record/{file}")
        padded(file)(root)
    assert edges(root, is_strict=True) == {("v3", "page")}  # of which there are two


def made_of(root: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what is told of v3 beside its run, the scores apart."""
    told = {file: (beside(root, "v3") / file).read_text() for file in (IMAGES, CAPTIONS)}
    lineage = read_json(beside(root, "v3") / LINEAGE)
    scores = lineage["lineage"].pop("scores")
    return told | {LINEAGE: lineage}, scores


def test_a_version_that_is_registered_again_by_other_code_and_with_newer_scores_is_whole(root: Path) -> None:
    before, scores = made_of(root)
    (root / "code/more.py").write_text("")
    commit(root)
    score(root, likeness=-0.4)
    registered(root)
    after, newer = made_of(root)
    assert after == before
    assert newer["models"] == read_json(root / "data/scores/scores.json")["models"] != scores["models"]
    assert auditing.audit(root, "dopsd", is_strict=True) == []
    assert len(ledger.read(root)) == 3
    (root / "code/more.py").unlink()


@pytest.fixture
def far(root: Path, tmp_path: Path) -> Iterator[Path]:
    """A remote that has all that the cache has."""
    config = root / ".dvc/config.local"
    config.write_text(f"[core]\n    remote = far\n['remote \"far\"']\n    url = {tmp_path / 'far'}\n")
    yield Path(shutil.copytree(root / ".dvc/cache", tmp_path / "far"))
    config.unlink()


@pytest.mark.usefixtures("far")
def test_the_remote_stands_in_for_the_cache(root: Path) -> None:
    lost_image(root)
    assert edges(root, is_strict=True) == set()


def test_what_a_remote_lacks_is_no_break_but_to_the_strict(root: Path, far: Path) -> None:
    (far / one_image(root).relative_to(root / ".dvc/cache")).unlink()
    assert edges(root) == set()
    assert edges(root, is_strict=True) == {("v3", "images")}


def test_push_brings_every_version_to_a_remote_of_a_relative_address_and_mends_it(root: Path) -> None:
    config, far = root / ".dvc/config.local", root / ".dvc/far"
    config.write_text("[core]\n    remote = far\n['remote \"far\"']\n    url = far\n")
    try:
        assert {version for version, _ in edges(root, is_strict=True)} == {"v2", "v3"}
        first = push(root, "dopsd")
        num_there = sum(path.is_file() for path in far.rglob("*"))
        assert edges(root, is_strict=True) == set()
        (far / one_image(root).relative_to(root / ".dvc/cache")).unlink()
        again = push(root, "dopsd")
        assert edges(root, is_strict=True) == set()
    finally:
        config.unlink()
        shutil.rmtree(far, ignore_errors=True)
    assert first.num_sent == num_there
    assert (again.num_sent, again.lost) == (1, [])
    assert not Path("/.dvc/far").exists(), "where `dvc push --all-tags` would have put it"


def test_push_names_what_is_nowhere_any_more(root: Path, far: Path) -> None:
    shutil.rmtree(far)
    listed = out(root, "v3", "data/images")
    listed.unlink()
    assert push(root, "dopsd").lost == [f"{listed.parent.name}{listed.name}"]


def test_push_without_a_remote_says_how_to_name_one(root: Path) -> None:
    with pytest.raises(ValueError, match="dvc remote add --default"):
        push(root, "dopsd")
