"""A picture that one of two versions learnt from is taken down, by processes that die again and again."""

import io
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dopsd.gate import Decision, Verdict
from tasks import runner
from tasks.ancestry.records import records
from tasks.errands import parcel
from tasks.folders import read_json, read_rows, write_json
from tasks.git import said
from tasks.params import load
from tasks.pipeline import stage
from tasks.stores.shard import WHOLE
from tasks.stores.store import key_of, opened
from tasks.takedown.apply import apply
from tasks.takedown.plan import Plan, plan
from tasks.takedown.receipt import DONE, receipts
from tasks.versions import audit, ledger, promotion, registry
from tasks.versions.aliases import aliases
from tasks.versions.restored import restore
from tasks.versions.taken_down import taken
from tests.history import photo, png
from tests.registered import commit, registered
from tests.takedowns import WHY, begun, learnt, planned, taken_down

GONE = "photos/2.png"


@dataclass
class Story:
    """The project after two takedowns: what was planned before and after the first, the champions after each."""

    root: Path
    before: Plan
    after: Plan
    champions: list[str | None]
    breaks: list[audit.Break]


def made(root: Path) -> None:
    """Make a project of two versions; the second was trained on from the first, with a photo more, and serves."""
    project = begun(root)
    learnt(root, 1, 0, 1)
    commit(root)
    write_json(root / "runs/parents/v2/manifest.json", {})
    project.change("train.parent", "v2")
    learnt(root, 2, 2)
    write_json(root / "data/training_run.json", {"mlflow_run_id": "f" * 32})  # trained again, to the same weights
    registered(root)
    project.change("train.parent", "v3")  # what the next run would train on from
    opened(root / "runs", "latents").write(key_of({"from": "before"}), b"nobody knows of which picture")
    for row in read_rows(root / "data/images/images.jsonl"):  # a shard a picture was sent, and nobody took it in
        parcel.send(parcel.ask({"latents": [key_of({"latents": row["id"]})]}, root), WHOLE, root)
    (root / "runs/triggers/new/batches/1").mkdir(parents=True)
    copy = io.BytesIO()
    photo(2).resize((64, 64)).save(copy, "JPEG")
    (root / "runs/triggers/new/batches/1/copy.jpg").write_bytes(copy.getvalue())


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("project")
    shutil.copyfile(empty_store, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        made(root)
        before = planned(root, GONE)
        taken_down(root, GONE, deaths=5)
        champions = [aliases("dopsd")["champion"]]
        found = Story(root, before, planned(root, GONE), champions, audit.audit(root, "dopsd", is_strict=True))
        taken_down(root, "photos/0.png", deaths=0)
        champions.append(aliases("dopsd")["champion"])
        yield found


@pytest.fixture(autouse=True)
def inside(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(story.root)


def test_before_it_every_place_is_named(story: Story) -> None:
    name = story.before.wanted.rows[0].id
    places = {trace.place for trace in story.before.traces}
    assert places == {"source", "triggers", "data", "stores", "DVC cache", "DVC remote far", "MLflow"}
    told = "\n".join(f"{trace.place}: {trace.name}" for trace in story.before.traces)
    for part in (
        "photos/2.png", "photos/2.txt", "copy.jpg", f"data/images/files/{name}.png", f"entries/{name}.safetensors",
        f"panel/{name}.png", "/data/scores/grid.png", "/data/probe/grid.png", "(data/scores/grid.png)",
        "(data/probe/grid.png)", "record/grid.png", "/images/",
    ):  # fmt: skip
        assert part in told, part
    assert len({trace.name.partition("/")[0] for trace in story.before.traces if trace.place == "MLflow"}) == 2
    assert story.before.hit == ("v3",)
    assert (story.before.serving, story.before.heir, story.before.parent) == ({"champion": "v3"}, "v2", "v2")


def test_what_processes_that_died_left_is_finished_by_the_next(story: Story) -> None:
    assert story.after.is_clean, story.after
    assert story.after.wanted.name == story.before.wanted.name  # by the receipt: its file is gone


def test_what_is_on_its_way_between_machines_is_looked_into(story: Story) -> None:
    (sent,) = (trace for trace in story.before.traces if "/parcels/" in trace.name)
    assert not Path(sent.name).exists()
    assert len(list(Path(sent.name).parents[1].glob("*/*.tar"))) == 1  # of three; the second takedown took another


def test_other_pictures_are_left(story: Story) -> None:
    other = records(story.root, "dopsd")["v2"]
    assert other.lineage["num_images"] == 2
    assert (story.root / "photos/1.png").is_file()
    rows = [row["id"] for row in read_rows(story.root / "data/images/images.jsonl")]
    assert len([one for one in rows if (story.root / f"data/images/files/{one}.png").is_file()]) == 1


def test_the_alias_goes_to_the_last_clean_ancestor_and_away_where_there_is_none(story: Story) -> None:
    assert story.champions == ["v2", None]
    moves = [(row.action, row.version, row.champion) for row in ledger.read(story.root) if row.action == "takedown"]
    assert moves == [("takedown", "v3", "v2"), ("takedown", "v2", None)]


def test_what_learnt_from_it_is_neither_loaded_nor_promoted(story: Story) -> None:
    with pytest.raises(ValueError, match=r"v3 was taken down \(takedowns/"):
        registry.fetch("dopsd", "v3", story.root)
    now = promotion.standing("dopsd", story.root)
    with pytest.raises(ValueError, match="v3 was taken down"):
        promotion.promote("dopsd", "v3", "it was good", story.root, known=now, despite_rejection=True)
    with pytest.raises(ValueError, match="there was no champion"):
        promotion.rollback("dopsd", "back", story.root, known=now)
    promotion.decide("dopsd", "v3", Decision(Verdict.PROMOTE, ()), rival=None, evidence={"a": "b"}, root=story.root)
    assert aliases("dopsd")["champion"] is None


def test_the_audit_takes_what_was_removed_for_no_break(story: Story) -> None:
    assert story.breaks == []


def test_the_receipt_keeps_the_answer_and_not_the_picture(story: Story) -> None:
    receipt = next(row for row in receipts(story.root) if row.asked == GONE)
    assert (receipt.reason, receipt.hit["trained"], receipt.hit["aliases"]) == (WHY, ["v3"], {"champion": "v3"})
    assert {row["digest"] for row in receipt.removed} >= {trace.digest for trace in story.before.traces}
    assert receipt.steps[-1]["step"] == DONE
    kept = read_json(story.root / f"takedowns/{receipt.name}.json")
    assert set(kept["pictures"][0]) == {"id", "sha256", "phash", "bits"}


def test_once_done_it_does_nothing(story: Story) -> None:
    before = [receipts(story.root), ledger.read(story.root), said(story.root, "status", "--porcelain")]
    apply(planned(story.root, story.before.wanted.rows[0].sha256), "again", story.root, load(story.root))
    assert [receipts(story.root), ledger.read(story.root), said(story.root, "status", "--porcelain")] == before


def test_a_copy_that_comes_back_is_found_and_is_refused_by_ingest(story: Story) -> None:
    photo(2).resize((64, 64)).save(story.root / "photos/small.png")
    assert [trace.name for trace in planned(story.root, GONE).traces] == [str(story.root / "photos/small.png")]
    runner.run(stage("ingest"), story.root)
    refused = {row["source"]: row["reason"] for row in read_rows(story.root / "data/images/quarantine.jsonl")}
    (story.root / "photos/small.png").unlink()
    assert refused == {"small.png": "blocked"}


def test_what_was_taken_down_is_so_in_a_registry_that_is_restored(
    story: Story, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, hit = tmp_path / "project", taken("dopsd")
    shutil.copytree(story.root, root, symlinks=True)
    shutil.copyfile(empty_store, root / "another.db")
    shutil.rmtree(root / "mlruns")
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/another.db")
    assert restore(root, "dopsd") == ["v1", "v2", "v3"]
    assert taken("dopsd").keys() == hit.keys() == {"v2", "v3"}
    assert audit.audit(root, "dopsd", is_strict=True) == []


def test_an_archive_that_is_the_source_is_looked_into(story: Story, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as pack:
        pack.writestr("a/2.png", png(2))
    params = load(story.root)
    ours = replace(params, ingest=params.ingest.model_copy(update={"source": str(tmp_path / "photos.zip")}))
    found = plan(story.root, ours, GONE, max_bits=6, folders=[])
    assert [trace.name for trace in found.traces] == [
        f"{tmp_path}/photos.zip/a/2.png: pack the archive again without it"
    ]


def test_what_nobody_knows_is_told(story: Story) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file nothing\.png"):
        planned(story.root, "nothing.png")
    with pytest.raises(ValueError, match="not an image"):
        planned(story.root, "params.yaml")
