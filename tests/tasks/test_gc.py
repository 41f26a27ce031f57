"""What goes is what nobody needs: real git, DVC and MLflow, one version that stays and one that was rejected."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from typer.testing import CliRunner, Result

from dopsd.weights.trained import FILE
from flows.cli import app
from tasks.ancestry.records import Record, records
from tasks.errands import parcel
from tasks.gc import collection
from tasks.gc.collection import apply, plan
from tasks.gc.keeping import Keeping, going
from tasks.gc.piece import Piece, files
from tasks.git import said
from tasks.images.dataset import Pair
from tasks.params import load
from tasks.planning.fingerprint import running
from tasks.stores.entries import Origin, caption_keys
from tasks.stores.readings import keys, readings
from tasks.stores.shard import WHOLE
from tasks.stores.store import key_of, opened
from tasks.tracking import connect
from tasks.triggers.events import Arrived, Fired, line
from tasks.versions import ledger, promotion, registry
from tasks.versions.audit import audit
from tasks.versions.ledger import Entry
from tasks.versions.succession import succession
from tasks.workspaces.workspace import record, workspace
from tests.history import MADE
from tests.registered import as_it_was, commit, images, laid_out, recorded_by_dvc, registered, score, train

ALL_STAY = Keeping(recent=timedelta())
"""Every version stays; nothing is spared for being young."""
REJECTED_GO = Keeping(rejected=timedelta(), recent=timedelta())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """v2 is champion, v3 from v2 was rejected; a person went back to the params and the data of v2."""
    root = tmp_path_factory.mktemp("project")
    shutil.copyfile(empty_store, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        workspace = laid_out(root)
        (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
        commit(root)
        recorded_by_dvc(root)
        registered(root)
        before = {path: path.read_text() for path in (root / "dvc.lock", root / "params.yaml")}
        images(root, 0, 1, 2)
        train(root, 2)
        score(root, likeness=0.5)
        workspace.change("train.parent", "v2")
        (root / "runs/parents/v2").mkdir(parents=True)
        recorded_by_dvc(root)
        registered(root)
    for path, text in before.items():
        path.write_text(text)
    shutil.rmtree(root / "runs")
    shutil.rmtree(root / "data")
    return root


@pytest.fixture
def root(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project, which is as it was when the test is over."""
    monkeypatch.chdir(project)
    with as_it_was(project, tmp_path):
        yield project
    shutil.rmtree(project / "runs", ignore_errors=True)


def there(root: Path) -> set[str]:
    """List all files that may ever go."""
    return {str(path) for folder in (".dvc/cache", "mlruns") for path in files(root / folder)}


def kinds(found: list[Piece]) -> set[str]:
    return {piece.kind for piece in found}


def test_what_is_young_stays_and_so_does_what_any_version_needs(root: Path) -> None:
    assert plan(root, ALL_STAY) == plan(root, Keeping(rejected=timedelta())) == []


def test_nothing_goes_while_the_registry_lacks_a_version_that_git_knows(root: Path) -> None:
    connect().delete_model_version("dopsd", "2")
    with pytest.raises(ValueError, match=r"the registry has no v2 of dopsd, .*put mlflow\.db back"):
        plan(root, REJECTED_GO)


def test_what_goes_is_exactly_what_was_planned_and_every_version_that_stays_is_whole(root: Path) -> None:
    before, planned = there(root), plan(root, REJECTED_GO)
    assert kinds(planned) == {"version", "weights", "run cache", "object"}
    gone = apply(root, REJECTED_GO, planned)
    assert gone == planned
    named = {str(file) for piece in planned for file in before if Path(file).is_relative_to(root / piece.name)}
    assert before - there(root) == named
    assert audit(root, "dopsd", is_strict=True) == []
    assert apply(root, REJECTED_GO, planned) == plan(root, REJECTED_GO) == []
    said(root, "checkout", "--quiet", "--force", "model/dopsd/v2")
    with Repo(str(root)) as repo:
        repo.checkout()
    assert (root / "data/adapter" / FILE).is_file()
    shutil.rmtree(root / "data")
    nobody_loads_it_and_its_record_is_there(root)


def nobody_loads_it_and_its_record_is_there(root: Path) -> None:
    assert list(records(root, "dopsd")) == ["v2", "v3"]
    assert list(registry.versions("dopsd")) == ["v2"]
    last = ledger.read(root)[-1]
    assert (last.action, last.version, last.champion) == ("gc", "v3", "v2")
    known = promotion.standing("dopsd", root)
    with pytest.raises(ValueError, match="the registry has no v3"):
        promotion.promote("dopsd", "v3", "it was good", root, known=known, despite_rejection=True)


def test_killed_in_the_middle_nothing_is_half_and_the_next_one_finishes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, remove = plan(root, REJECTED_GO), collection._remove
    with monkeypatch.context() as patch:
        patch.setattr(promotion, "connect", lambda: 1 / 0)  # entered in the ledger, and still in the registry
        with pytest.raises(ZeroDivisionError):
            apply(root, REJECTED_GO, planned)
    assert audit(root, "dopsd", is_strict=True) == []

    def killed(piece: Piece, root: Path, repo: Repo) -> None:
        remove(piece, root, repo)
        assert piece.kind != "run cache", "killed"

    with monkeypatch.context() as patch:
        patch.setattr(collection, "_remove", killed)
        with pytest.raises(AssertionError, match="killed"):
            apply(root, ALL_STAY, planned)
    assert audit(root, "dopsd", is_strict=True) == []
    apply(root, ALL_STAY, planned)
    assert plan(root, REJECTED_GO) == []
    assert not any(Path(piece.name).exists() for piece in planned if piece.kind != "version")
    assert [entry.action for entry in ledger.read(root)].count("gc") == 1


@pytest.fixture
def storage(root: Path, tmp_path: Path) -> Iterator[Path]:
    """A remote to which somebody pushed every version."""
    said_of_it = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {tmp_path / 'storage'}\n"
    (root / ".dvc/config.local").write_text(said_of_it)
    with Repo(str(root)) as repo:
        repo.push(all_tags=True)
    yield tmp_path / "storage"
    (root / ".dvc/config.local").unlink()


def test_a_remote_is_looked_into_when_it_is_named_and_then_holds_all_that_stays(root: Path, storage: Path) -> None:
    named, before = replace(REJECTED_GO, remotes=("storage",)), set(files(storage))
    assert "remote object" not in kinds(plan(root, REJECTED_GO))
    planned = plan(root, named)
    apply(root, REJECTED_GO, planned)
    assert set(files(storage)) == before
    apply(root, named, plan(root, named))
    digests = {piece.name.removeprefix("storage ") for piece in planned if piece.kind == "remote object"}
    assert {f"{path.parent.name}{path.name}" for path in before - set(files(storage))} == digests != set()
    shutil.rmtree(root / ".dvc/cache")
    assert plan(root, named) == []
    assert audit(root, "dopsd", is_strict=True) == []


def test_what_shards_sent_and_nobody_took_goes_from_a_remote_that_is_named(root: Path, storage: Path) -> None:
    opened(root / "runs", "latents").write(key_of({"a": 1}), b"sent")
    parcel.send(parcel.ask({"latents": [key_of({"a": 1})]}, root), WHOLE, root)
    named = replace(ALL_STAY, remotes=("storage",))
    left = [piece for piece in plan(root, named) if piece.kind == "parcel"]
    assert "parcel" not in kinds(plan(root, replace(named, recent=timedelta(hours=1))))
    assert {Path(piece.name.removeprefix("storage ")) for piece in left} == set(files(storage / "parcels"))
    apply(root, named, left)
    assert list(files(storage / "parcels")) == []


def test_nothing_of_a_remote_goes_where_nobody_knows_what_it_holds(root: Path, storage: Path) -> None:
    with pytest.raises(ValueError, match="--remote archive: DVC knows no such remote; there is storage"):
        plan(root, Keeping(remotes=("archive",)))
    lost = records(root, "dopsd")["v2"].lineage["dataset"]
    for place in (storage, root / ".dvc/cache"):
        (place / "files/md5" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(ValueError, match=f"{lost} is neither in DVC's cache nor in a remote, so nobody can tell"):
        plan(root, replace(ALL_STAY, remotes=("storage",)))


def unneeded(root: Path) -> Path:
    """Put an object into DVC's cache that nothing asks for."""
    with Repo(str(root)) as repo:
        repo.cache.local.add_bytes("0" * 32, b"spoken for by nobody")
        return Path(repo.cache.local.oid_to_path("0" * 32))


def test_what_a_run_under_way_needs_stays_though_it_was_to_go_when_the_run_began(root: Path) -> None:
    lost = unneeded(root)
    (planned,) = plan(root, ALL_STAY)
    removal = threading.Thread(target=apply, args=(root, ALL_STAY, [planned]))
    with workspace(root) as tree:
        removal.start()
        lock = {"stages": {"train": {"outs": [{"path": "data/training_run.json", "md5": "0" * 32}]}}}
        (tree / "dvc.lock").write_text(yaml.safe_dump(lock))
        assert plan(root, ALL_STAY) == []
        (tree / "data/version").mkdir(parents=True)
        record(tree)
    removal.join()
    assert lost.is_file()


def test_what_was_made_since_a_run_was_promised_to_a_trigger_stays(root: Path) -> None:
    unneeded(root)
    at = datetime.now(UTC) - timedelta(hours=1)
    fired = Fired(at=at, run="new-images-1", images=("a",), reason="enough")
    events = root / "runs/triggers/new-images/events.jsonl"
    events.parent.mkdir(parents=True)
    events.write_text(line(Arrived(at=at, image="a")) + line(fired))
    assert plan(root, ALL_STAY) == []


def test_leftovers_go_but_for_what_params_yaml_names(root: Path) -> None:
    for name in ("train/0a1b/after-1.safetensors", "flights/9f/train/0a1b/after-2.safetensors", "parents/v10/w"):
        (root / "runs" / name).parent.mkdir(parents=True)
        (root / "runs" / name).touch()
    said(root, "worktree", "add", "--quiet", "--detach", "runs/workspaces/1/tree")
    (root / "runs/workspaces/1/lock").touch()
    run_id = records(root, "dopsd")["v3"].run_id
    connect().delete_run(run_id)
    planned = plan(root, Keeping(rejected=timedelta(), recent=timedelta()))
    assert {"checkpoint", "parent", "worktree", "run"} <= kinds(planned)
    apply(root, REJECTED_GO, planned)
    assert not list((root / "runs").rglob("after-*")) + list((root / "runs").glob("parents/*"))
    assert len(said(root, "worktree", "list").splitlines()) == 1


def test_entries_stay_that_a_run_of_a_kept_dataset_would_look_for(root: Path) -> None:
    params, runs, code = load(root), root / "runs", running()
    origin = Origin.of(params, {name: root / f"models/{name}" for name in ("base", "vlm")}, runs, code)
    side = params.embed.image_side_px
    pairs = [Pair(digit * 32, "", "a [V]", Path(), (side, side)) for digit in "09"]
    asked = {"captions": caption_keys([pair.id for pair in pairs], params, root / "models/vlm", runs, code)}
    asked |= keys(readings(pairs, params), origin)
    for kind, some in asked.items():
        for key in some:
            opened(runs, kind).write(key, b"")
    unknown = {kind: str(opened(runs, kind).path(some[1])) for kind, some in asked.items()}
    del unknown["student"]  # no picture is in it: the same caption is the same entry
    assert {piece.name for piece in plan(root, ALL_STAY)} == set(unknown.values())


def test_policies_keep_what_serves_what_a_rollback_leads_to_and_every_ancestor() -> None:
    entered, now = {"at": "2026-10-01T12:00:00+00:00"}, datetime(2026, 12, 1, tzinfo=UTC)
    known = {
        version: Record(version, "", None, None, "", entered, {"parent": parent})
        for version, (parent, _, _) in MADE.items()
    }
    entries = [Entry("dopsd", "decide", version, "", "", version, None) for version in ("v1", "v2", "v4")]
    entries.append(Entry("dopsd", "rollback", "v2", "", "", "v2", None))
    verdicts = {version: verdict for version, (_, _, verdict) in MADE.items()}
    entries += [Entry("dopsd", "decide", name, "", "", "v2", "v7", verdict=said) for name, said in verdicts.items()]

    def gone(newest: int | None = None, rejected: str | None = None, *needed: str) -> set[str]:
        return set(going(known, entries, Keeping.of(newest, rejected), set(needed), now))

    assert gone() == set()
    assert gone(2) == {"v3", "v5"}  # v7 comes from v4, v2 and v1, v8 from v6; v2 is champion, v1 was it before
    assert gone(0) == {"v3", "v5", "v6", "v8"}  # v7 is challenger
    assert gone(None, "30d") == {"v3", "v6", "v8"}
    assert gone(None, "30d", "v8") == {"v3"}
    assert gone(None, "3000d") == set()
    with pytest.raises(ValueError, match="--keep-rejected is 'long': write a time span"):
        Keeping.of(rejected="long")


def test_a_rollback_passes_over_a_champion_that_was_given_up() -> None:
    line = [Entry("dopsd", "decide", version, "gate", "", version, None) for version in ("v1", "v2", "v1", "v3")]
    line.append(Entry("dopsd", "gc", "v2", "a", "", "v3", None))
    assert succession(line) == ["v1", "v3"]
    line.append(Entry("dopsd", "rollback", "v1", "a", "", "v1", None))
    line.append(Entry("dopsd", "decide", "v4", "gate", "", "v1", "v4"))
    assert succession(line) == ["v1"]


def dopsd(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["gc", *words], input=answer)


def test_a_person_sees_what_goes_and_is_asked(root: Path) -> None:
    everything = ("--keep-recent", "0s", "--keep-rejected", "0s")
    before, asked = there(root), dopsd("apply", *everything, answer="n\n")
    assert (asked.exit_code, "(dopsd v3)" in asked.stderr, there(root) == before) == (1, True, True), asked.output
    (version, *_) = json.loads(dopsd("apply", "--yes", "--json", *everything).stdout)
    assert (version["kind"], version["names"]) == ("version", ["dopsd v3"])
