"""A project with one or two registered versions: real git, real DVC, real MLflow, small data."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import torch
from dvc.repo import Repo
from PIL import Image
from safetensors.torch import save_file

from dopsd.gate import CHECKS
from dopsd.weights.trained import FILE
from tasks import runner
from tasks.folders import write_json, write_rows
from tasks.git import said
from tasks.pipeline import STAGES, stage
from tasks.planning.code_record import refresh
from tests.fake_workspace import FakeWorkspace

KEPT = ("models", ".git", ".dvc/cache", "mlruns", "mlflow.db", "ledger.jsonl")
"""What is known of versions, and the models that they were made on."""
_SIZE = {"width": 8, "height": 8}
IGNORED = "/data/\n/runs/\n/mlflow.db*\n/mlruns/\n/.dvc/tmp\n/.dvc/cache\n/ledger.jsonl\n"


def laid_out(root: Path) -> FakeWorkspace:
    """Write a workspace whose stages are done up to the scores of a good adapter, in a git repository."""
    made, data = FakeWorkspace.at(root), root / "data"
    images(root, 0, 1)
    write_json(data / "embeddings" / "manifest.json", {"counts": {"images": 2}})
    write_json(data / "probe" / "probe.json", {"is_teacher_better": True})
    train(root, 1)
    score(root, likeness=-0.2)
    for folder in ("probe", "scores"):
        Image.new("RGB", (8, 8)).save(data / folder / "grid.png")
    made.write("constraints.txt", "torch==2.13.0\n")
    made.write(".gitignore", IGNORED)
    said(root, "init", "--quiet")
    commit(root)
    return made


def commit(root: Path) -> None:
    """Commit what is there, as a person would."""
    said(root, "add", ".")
    said(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "a change")


def images(root: Path, *numbers: int) -> None:
    """Write a dataset of these images, each with a caption."""
    folder = root / "data" / "images"
    rows = [
        {"id": f"{n}" * 32, "source_sha256": f"{n}" * 64, "source": f"{n}.png", "phash": f"{n}" * 16} | _SIZE
        for n in numbers
    ]
    shutil.rmtree(folder, ignore_errors=True)
    for row in rows:
        (folder / "files").mkdir(parents=True, exist_ok=True)
        (folder / "files" / f"{row['id']}.png").write_text(row["id"])
    write_rows(folder / "images.jsonl", rows)
    write_json(folder / "manifest.json", {"counts": {"images": len(rows)}})
    captions = [{"id": row["id"], "caption": "a [V]", "source": "human"} for row in rows]
    write_rows(root / "data" / "captions" / "captions.jsonl", captions)


def train(root: Path, number: float) -> None:
    """Stand an adapter that is one number in the place of the one before; its run is in a store that is gone."""
    folder = root / "data" / "adapter"
    folder.mkdir(exist_ok=True)
    save_file({"transformer.x.lora_A.weight": torch.full((2, 2), float(number))}, folder / FILE)
    (folder / "curves.csv").write_text("step,loss\n0,1.0\n1,0.5\n")
    write_json(root / "data" / "training_run.json", {"mlflow_run_id": f"{number:032.0f}"})


def score(root: Path, *, likeness: float, concept: str = "star") -> None:
    """Write scores in which likeness falls by so much against base and parent, and nothing else changes."""
    means = {check.metric: likeness if check.name == "likeness" else 0.0 for check in CHECKS if "base" in check.against}
    rows = {key: {"mean": mean, "low": mean - 1e-4, "high": mean + 1e-4, "count": 9} for key, mean in means.items()}
    scores, models = root / "data" / "scores", {"base": rows, "adapter": rows}
    write_json(scores / "scores.json", {"models": models, "differences": {"base": rows}, "num_steps": 4})
    asked = [f"a [V] {concept}, number {number}" for number in range(9)]
    panel = [{"text": text, "plain": text, "target": f"{text[-1]}-{concept}.png"} for text in asked]
    write_rows(scores / "panel" / "panel.jsonl", panel, key="text")
    values = [
        f'adapter,{key},"{text if key.startswith("concept") else text[-1]}",0,{mean + int(text[-1]) / 1000}'
        for key, mean in means.items()
        for text in asked
    ]
    (scores / "rows.csv").write_text("model,metric,prompt,seed,value\n" + "\n".join(values))


def recorded_by_dvc(root: Path) -> None:
    """Let DVC keep what lies there as if the stages had made it."""
    refresh(root)
    with Repo(str(root)) as repo:
        for row in STAGES:
            if row.is_cached:
                repo.commit(row.name, force=True)


def registered(root: Path) -> None:
    """Run the stage register."""
    runner.run(stage("register"), root)


def project_of_two(root: Path, empty_store: Path) -> Path:
    """Make `root` a project of two versions, in a registry of its own."""
    shutil.copyfile(empty_store, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)  # the empty store's
        two_versions(root)
    return root


def two_versions(root: Path) -> FakeWorkspace:
    """Register v2, then v3 trained on from it with an image more."""
    made = laid_out(root)
    recorded_by_dvc(root)
    registered(root)
    images(root, 0, 1, 2)
    train(root, 2)
    score(root, likeness=-0.3)
    write_json(root / "runs" / "parents" / "v2" / "manifest.json", {})
    made.change("train.parent", "v2")
    commit(root)
    recorded_by_dvc(root)
    registered(root)
    return made


@contextmanager
def as_it_was(root: Path, aside: Path) -> Iterator[None]:
    """Put everything that is known of versions back when the block ends; it lies in `aside` meanwhile."""
    for name in KEPT:
        _copy(root / name, aside / name)
    yield
    for name in KEPT:
        _copy(aside / name, root / name)


def _copy(source: Path, place: Path) -> None:
    if source.is_dir():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(source, place)
    elif source.suffix == ".db":  # open elsewhere: SQLite itself knows how to copy it
        with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(place)) as other:
            one.backup(other)
    else:
        shutil.copyfile(source, place)
