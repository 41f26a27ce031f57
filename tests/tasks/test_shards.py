"""What many processes make of a stage, in any order and whoever is killed, is what one process makes of it."""

import math
import multiprocessing
import os
import random
import shutil
import signal
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from workspace import Workspace

from dopsd.family import Context
from tasks import caption, embed, runner
from tasks.__main__ import main
from tasks.errands import parcel
from tasks.folders import sha256_of_bytes, sha256_of_folder
from tasks.pipeline import PLACES, STAGES, stage
from tasks.planning.fingerprint import running
from tasks.stores.shard import WHOLE, Shard
from tasks.stores.store import key_of, opened

DIVIDED = [row.name for row in STAGES if row.has_shards]
SHARDS = [Shard(number, 100) for number in range(1, 101)]


class Model:
    """Says and encodes what follows from words and pictures alone; its process is killed once none are `left`."""

    left: float = math.inf

    def __init__(self, *_: object) -> None: ...

    def captions(self, images: Sequence[Image.Image], _: str) -> list[str]:
        return [f"[V] {sha256_of_bytes(image.tobytes())}" for image in self._seen(images)]

    def student_contexts(self, texts: Sequence[str]) -> list[Context]:
        return [Context(_numbers(text.encode())) for text in self._seen(texts)]

    def teacher_contexts(self, texts: Sequence[str], images: Sequence[Image.Image]) -> list[Context]:
        shown = zip(texts, self._seen(images), strict=True)
        return [Context(_numbers(text.encode() + image.tobytes())) for text, image in shown]

    def latents(self, images: Sequence[Image.Image]) -> list[torch.Tensor]:
        return [_numbers(image.tobytes()) for image in self._seen(images)]

    def _seen(self, rows):
        for row in rows:
            if Model.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            Model.left -= 1
            yield row


def _numbers(data: bytes) -> torch.Tensor:
    return torch.tensor([[float(byte) for byte in bytes.fromhex(sha256_of_bytes(data))]])


@pytest.fixture
def many(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Forty pictures, every fifth with a caption, and models that cost nothing."""
    shutil.rmtree(workspace.root / "photos")
    (workspace.root / "photos").mkdir()
    for number in range(40):
        path = workspace.root / f"photos/{number}.png"
        Image.frombytes("RGB", (16, 16), random.Random(number).randbytes(768)).save(path)
        if not number % 5:
            path.with_suffix(".txt").write_text("a [V] star")
    monkeypatch.setattr(caption, "Captioner", Model)
    monkeypatch.setattr(embed, "_loaded", Model)
    code = running()
    for module in (caption, embed):
        monkeypatch.setattr(module, "running", lambda: code)  # reading it takes longer than a shard
    workspace.run("ingest", *DIVIDED)
    return workspace


def filled(name: str, shards: Sequence[Shard], root: Path, dies_at: float = math.inf) -> int | None:
    """Fill shards one after another in a process of its own, which is killed when it has made so many entries."""

    def work() -> None:
        Model.left = dies_at
        for shard in shards:
            runner.fill(stage(name), root, shard)
        os._exit(0)  # Prefect, where an earlier test used it, would join threads now that a fork does not have

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    return process.exitcode


def refuse(*_: object) -> None:
    raise AssertionError("a model was loaded")


@pytest.mark.parametrize("name", DIVIDED)
def test_a_hundred_shards_of_which_some_are_killed_give_the_same_bytes(
    name: str, many: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = many.root / PLACES[stage(name).writes[0]]
    whole = sha256_of_folder(place)
    shutil.rmtree(place)
    shutil.rmtree(many.root / "runs/store")
    order = random.Random(name).sample(SHARDS, 100)
    assert [filled(name, order[first::4], many.root, dies_at=first) for first in range(4)] == [-signal.SIGKILL] * 4
    assert filled(name, order, many.root) == 0
    assert not place.exists()
    monkeypatch.setattr(caption, "Captioner", refuse)
    monkeypatch.setattr(embed, "_loaded", refuse)
    many.run(name)
    assert many.json(f"runs/{name}/reuse.json")["computed"] == 0
    assert sha256_of_folder(place) == whole


@pytest.fixture
def machines(many: Workspace, tmp_path: Path) -> tuple[Path, Path]:
    """Two that share DVC's remote and no disk: one that has lost half of its entries, and one that never had any."""
    (many.root / ".dvc").mkdir()
    far = f"['remote \"far\"']\n    url = {tmp_path / 'far'}\n"
    (many.root / ".dvc/config").write_text(f"[core]\n    no_scm = true\n    remote = far\n{far}")
    shutil.copytree(many.root, tmp_path / "there", ignore=shutil.ignore_patterns("store"))
    for path in sorted((many.root / "runs/store").glob("*/??/*"))[::2]:
        path.unlink()
    return many.root, tmp_path / "there"


@pytest.mark.parametrize("name", DIVIDED)
def test_another_machine_makes_what_lacks_and_no_more_and_sends_it(
    name: str, many: Workspace, machines: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here, there), place = machines, many.root / PLACES[stage(name).writes[0]]
    whole, lacking = sha256_of_folder(place), runner.lacking(stage(name), many.root)
    sent = parcel.ask(lacking, here)
    among = frozenset(key for keys in parcel.wanted(sent, there).values() for key in keys)
    for number in (2, 3, 1):
        shard = Shard(number, 3, among)
        runner.fill(stage(name), there, shard)
        parcel.send(sent, shard, there)
        parcel.unpack(sent, Shard(number, 3), here)
    assert {path.parent.name + path.name for path in (there / "runs/store").glob("*/??/*")} == among != set()
    assert not any(runner.lacking(stage(name), here).values())
    parcel.forget(sent, here)
    assert [path for path in (here / "far").rglob("*") if path.is_file()] == []
    monkeypatch.setattr(caption, "Captioner", refuse)
    monkeypatch.setattr(embed, "_loaded", refuse)
    many.run(name)
    assert sha256_of_folder(place) == whole


def test_of_a_parcel_only_what_is_whole_and_was_asked_for_is_taken(machines: tuple[Path, Path]) -> None:
    here, there = machines
    good, bad, strange = (key_of({"is": word}) for word in ("good", "bad", "strange"))
    kept = opened(there / "runs", "latents")
    for key in (good, bad, strange):
        kept.write(key, b"numbers")
    kept.path(bad).write_bytes(kept.path(bad).read_bytes()[:-1] + b"?")
    sent = parcel.ask({"latents": [good, bad]}, here)
    parcel.send(sent, WHOLE, there)
    (file,) = (here / "far").rglob("*.tar")
    with tarfile.open(file, "a") as more:
        more.add(kept.path(strange), f"latents/{strange}")
        more.add(kept.path(strange), "../../outside")
    parcel.unpack(sent, WHOLE, here)
    mine = opened(here / "runs", "latents")
    assert (mine.read(good), mine.read(bad), mine.read(strange)) == (b"numbers", None, None)
    assert mine.damaged == []
    assert not file.exists()


def test_a_parcel_that_is_cut_short_or_lost_is_told_and_what_came_of_it_stays(machines: tuple[Path, Path]) -> None:
    here, there = machines
    keys = [key_of({"number": number}) for number in range(9)]
    for key in keys:
        opened(there / "runs", "latents").write(key, b"numbers" * 9999)
    sent = parcel.ask({"latents": keys}, here)
    with pytest.raises(ConnectionError, match="shard 1 of 1 did not come by DVC's remote"):
        parcel.unpack(sent, WHOLE, here)
    parcel.send(sent, WHOLE, there)
    (file,) = (here / "far").rglob("*.tar")
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(ConnectionError, match="shard 1 of 1 did not come by DVC's remote"):
        parcel.unpack(sent, WHOLE, here)
    assert 0 < len([key for key in keys if opened(here / "runs", "latents").read(key)]) < 9


def test_every_entry_is_in_one_shard_and_stays_there() -> None:
    keys = [key_of({"image": number}) for number in range(1000)]
    held = [[shard.number for shard in SHARDS[:7] if Shard(shard.number, 7).holds(key)] for key in keys]
    assert {len(numbers) for numbers in held} == {1}
    sizes = [held.count([number]) for number in range(1, 8)]
    assert min(sizes) > 100


@pytest.mark.parametrize(("number", "of"), [(0, 4), (5, 4), (1, 0)])
def test_a_shard_that_there_is_not_is_refused(number: int, of: int) -> None:
    with pytest.raises(ValueError, match=f"there is no shard {number} of {of}: number them from 1"):
        Shard(number, of)


def test_a_shard_is_filled_by_a_command(many: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(runner, "fill", lambda row, _, shard: asked.append((row.name, shard)))
    assert main(["shard", "embed", "--number", "3", "--of", "100"]) == 0
    assert asked == [("embed", Shard(3, 100))]
    assert main(["shard", "embed", "--number", "0", "--of", "100"]) == 1
