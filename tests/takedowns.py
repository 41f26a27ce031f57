"""Takedowns to try: versions that leave everything that a run leaves, and processes that die at their work."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo
from PIL import Image

from tasks import runner
from tasks.folders import read_rows, write_rows
from tasks.params import load
from tasks.pipeline import stage
from tasks.stores.store import key_of, opened
from tasks.takedown.apply import apply
from tasks.takedown.plan import Plan, plan
from tasks.takedown.receipt import Receipt
from tests.fake_workspace import FakeWorkspace
from tests.history import png
from tests.registered import laid_out, recorded_by_dvc, registered, score, train

REMOTE = "[core]\n    no_scm = true\n    analytics = false\n    remote = far\n['remote \"far\"']\n    url = far\n"
WHY = "the person shown asked for it"


class Killed(BaseException):
    """What no step may catch."""


def begun(root: Path) -> FakeWorkspace:
    """Write a workspace without photos, with a remote of DVC's."""
    project = laid_out(root)
    project.write(".dvc/config", REMOTE)
    project.write(".gitignore", (root / ".gitignore").read_text() + "/.dvc/far\n")
    shutil.rmtree(root / "photos")
    (root / "photos").mkdir()
    return project


def learnt(root: Path, number: int, *photos: int, shades: tuple[int, int] | None = None, entry: str = "") -> None:
    """Register a version that learnt from these photos too, with everything that a run leaves of each.

    `shades` paint the grids of probe and scores, by default as no other version's; `entry` is what all entries say.
    """
    for one in photos:
        (root / "photos" / f"{one}.png").write_bytes(png(one))
        (root / "photos" / f"{one}.txt").write_text("a [V]")
    runner.run(stage("ingest"), root)
    data, ids = root / "data", [row["id"] for row in read_rows(root / "data/images/images.jsonl")]
    write_rows(data / "captions/captions.jsonl", [{"id": one, "caption": "a [V]", "source": "human"} for one in ids])
    write_rows(data / "embeddings/index.jsonl", [{"id": one} for one in ids])
    (data / "embeddings/entries").mkdir(exist_ok=True)
    train(root, number)
    score(root, likeness=-0.1 - number / 10)
    for one in ids:
        (data / f"embeddings/entries/{one}.safetensors").write_text(entry or one)
        shutil.copyfile(data / f"images/files/{one}.png", data / f"scores/panel/{one}.png")
        for kind in ("latents", "teacher"):
            opened(root / "runs", kind).write(key_of({kind: one}), one.encode(), of=one)
    for shade, place in zip(shades or (2 * number, 2 * number + 1), ("probe", "scores"), strict=True):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(data / place / "grid.png")
    recorded_by_dvc(root)
    registered(root)
    with Repo(str(root)) as repo:
        repo.push()


def planned(root: Path, asked: str) -> Plan:
    return plan(root, load(root), asked, max_bits=6, folders=[])


def dying(after: int) -> Callable[[Receipt, Path, str], None]:
    """Stand in for `Receipt.enter`: note so many steps, then die, each other time before that step is noted."""
    enter, noted = Receipt.enter, list[str]()

    def mortal(receipt: Receipt, root: Path, step: str) -> None:
        if len(noted) == after and after % 2:
            raise Killed
        enter(receipt, root, step)
        noted.append(step)
        if len(noted) > after:
            raise Killed

    return mortal


def taken_down(root: Path, asked: str, deaths: int) -> None:
    """Take a picture down; before that so many processes begin it and die, each a step later than the one before."""
    for death in range(deaths):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Receipt, "enter", dying(death))
            apply(planned(root, asked), WHY, root, load(root))
    apply(planned(root, asked), WHY, root, load(root))
