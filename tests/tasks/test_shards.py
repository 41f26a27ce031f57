"""What many processes make of a stage, in any order and whoever is killed, is what one process makes of it."""

import math
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from workspace import Workspace

from dopsd.family import Context
from tasks import caption, embed, runner
from tasks.__main__ import main
from tasks.folders import sha256_of_bytes, sha256_of_folder
from tasks.pipeline import PLACES, STAGES, stage
from tasks.planning.fingerprint import running
from tasks.stores.shard import Shard
from tasks.stores.store import key_of

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

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    return process.exitcode


def refuse(*_: object) -> None:
    raise AssertionError("a model was loaded")


@pytest.mark.slow  # it forks, which goes wrong now and then in a process where other tests have left their threads
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
