"""From a folder of pictures to scores, on real models: what each stage leaves, and that it leaves the same again."""

import csv
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors import safe_open
from workspace import Workspace, laid_out

from dopsd.curves import Curves
from dopsd.gate import judge
from dopsd.judging import Margins
from tasks import weak_teacher
from tasks.folders import read_rows, sha256_of_file, sha256_of_folder
from tasks.images import rows
from tasks.images.rows import CaptionRow, ImageRow
from tasks.intervals import differences
from tasks.pipeline import PLACES
from tasks.pipeline import stage as stage_of


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Run every stage up to evaluate once, for the tests to look at and to run again."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = laid_out(tmp_path_factory.mktemp("finished"))
        monkeypatch.chdir(made.root)
        AcceleratorState._reset_state(reset_partial_state=True)
        made.run("ingest", "caption", "embed", "probe", "train", "evaluate")
        yield made


def test_every_image_has_one_caption_and_one_entry(finished: Workspace) -> None:
    data = finished.root / "data"
    images = [row.id for row in rows.read(data / "images" / "images.jsonl", ImageRow)]
    assert len(images) == 12
    assert [row.id for row in rows.read(data / "captions" / "captions.jsonl", CaptionRow)] == images
    assert [row["id"] for row in read_rows(data / "embeddings" / "index.jsonl")] == images
    assert sorted(path.stem for path in (data / "embeddings" / "entries").iterdir()) == images
    for row in read_rows(data / "embeddings" / "index.jsonl"):
        assert sha256_of_file(data / "embeddings" / "entries" / f"{row['id']}.safetensors") == row["sha256"]


def test_an_entry_holds_what_training_reads(finished: Workspace) -> None:
    path = next((finished.root / "data" / "embeddings" / "entries").iterdir())
    with safe_open(path, framework="pt") as entry:
        shapes = {name: entry.get_slice(name).get_shape() for name in entry.keys()}  # noqa: SIM118
    assert shapes["latents"] == [8, 10, 10]
    assert shapes["teacher"][0] > shapes["student"][0]
    assert shapes["teacher"][1] == shapes["student"][1]


def test_human_captions_are_kept_and_written_ones_name_model_and_concept(finished: Workspace) -> None:
    kept = {path.read_text().strip() for path in (finished.root / "photos").glob("*.txt")}
    captions = rows.read(finished.root / "data" / "captions" / "captions.jsonl", CaptionRow)
    assert {row.caption for row in captions if row.source == "human"} == kept
    written = [row for row in captions if row.source == "vlm"]
    assert len(written) == 5
    assert all("[V]" in row.caption and row.model and row.model.startswith("tiny-qwen3-vl@") for row in written)


def test_the_probe_says_who_is_nearer_and_how_sure_that_is(finished: Workspace) -> None:
    report = finished.json("data/probe/probe.json")
    assert report["gain"]["mean"] == pytest.approx(report["student"]["mean"] - report["teacher"]["mean"])
    assert report["gain"]["low"] <= report["gain"]["mean"] <= report["gain"]["high"]
    assert report["is_teacher_better"] == (report["gain"]["low"] > report["minimum_gain"])
    assert ("not better" in report["report"]) != report["is_teacher_better"]
    with Image.open(finished.root / "data" / "probe" / "grid.png") as grid:
        assert grid.width > 6 * 160


def test_a_weak_teacher_that_nobody_accepted_is_refused(workspace: Workspace) -> None:
    workspace.change("probe.accept_weak_teacher", False)
    workspace.change("probe.minimum_gain", 2)  # no teacher is as good as that
    for path in (workspace.root / "photos").glob("star-0[4-9]*"):
        path.unlink()
    workspace.run("ingest", "caption", "embed", "probe")
    assert not workspace.json("data/probe/probe.json")["accepted_weak"]
    with pytest.raises(weak_teacher.WeakTeacher, match="nothing to learn from"):
        workspace.run("train")
    assert not (workspace.root / "data" / "adapter").exists()


def test_the_adapter_comes_with_its_curves_and_its_run(finished: Workspace) -> None:
    with (finished.root / "data" / "adapter" / "curves.csv").open() as file:
        points = list(csv.DictReader(file))
    assert [point["step"] for point in points] == ["0", "1", "2", "3"]
    assert {"loss", "gap_1", "gap_4", "gradient_norm", "ema_distance"} <= set(points[0])
    assert finished.json("data/training_run.json")["mlflow_run_id"]
    assert (finished.root / "data" / "adapter" / "pytorch_lora_weights.safetensors").is_file()


def test_the_gate_can_judge_the_scores(finished: Workspace) -> None:
    found = differences(finished.root / "data" / "scores")
    assert set(found) == {"base"}
    assert judge(found, Margins()).reasons
    scores = finished.json("data/scores/scores.json")
    for metric, row in scores["differences"]["base"].items():
        means = [scores["models"][model][metric]["mean"] for model in ("adapter", "base")]
        assert row["mean"] == pytest.approx(means[0] - means[1], abs=1e-6)


def test_every_single_value_is_in_the_rows(finished: Workspace) -> None:
    with (finished.root / "data" / "scores" / "rows.csv").open() as file:
        values = list(csv.DictReader(file))
    prompts, seeds, models = 3 + 2 + 2, 2, 2
    assert sum(row["metric"].startswith("concept/clip_s") for row in values) == models * (3 + 2) * seeds
    assert sum(row["metric"].startswith("concept/dino_d") for row in values) == models * 3 * seeds
    assert sum(row["metric"] == "retention/curvature" for row in values) == models * 2 * seeds
    assert len({row["prompt"] for row in values}) == prompts


@pytest.mark.parametrize("stage", ["caption", "embed", "probe", "evaluate"])
def test_a_stage_that_runs_again_writes_the_same_bytes(finished: Workspace, stage: str) -> None:
    folder = finished.root / PLACES[stage_of(stage).writes[0]]
    before = sha256_of_folder(folder)
    finished.run(stage)
    assert sha256_of_folder(folder) == before


def test_a_finished_training_that_runs_again_writes_the_same_adapter(finished: Workspace) -> None:
    before = sha256_of_folder(finished.root / "data" / "adapter")
    AcceleratorState._reset_state(reset_partial_state=True)
    finished.run("train")
    assert sha256_of_folder(finished.root / "data" / "adapter") == before


def test_an_interrupted_training_ends_as_if_it_never_was(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_out = shutil.ignore_patterns("train", "adapter", "training_run.json")
    again = Workspace(shutil.copytree(finished.root, tmp_path / "again", ignore=leave_out), finished.params)
    monkeypatch.chdir(again.root)
    AcceleratorState._reset_state(reset_partial_state=True)
    add = Curves.add

    def interrupted(curves: Curves, step: int, point: Mapping[str, float]) -> None:
        if step == 2:
            raise KeyboardInterrupt
        add(curves, step, point)

    with monkeypatch.context() as patch:
        patch.setattr(Curves, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            again.run("train")
    assert not (again.root / "data" / "adapter").exists()
    again.run("train")
    assert sha256_of_folder(again.root / "data" / "adapter") == sha256_of_folder(finished.root / "data" / "adapter")


def test_a_parent_is_compared_too(finished: Workspace) -> None:
    parent = finished.root / "runs" / "parents" / "v1"
    parent.mkdir(parents=True)
    for path in (finished.root / "data" / "adapter").iterdir():
        (parent / path.name).write_bytes(path.read_bytes())
    finished.change("train.parent", "v1")
    finished.run("evaluate")
    found = differences(finished.root / "data" / "scores")
    assert set(found) == {"base", "parent"}
    assert all(row.mean == row.low == row.high == 0 for row in found["parent"].values())
