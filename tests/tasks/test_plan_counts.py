"""What the plan says of images is what caption and embed then compute.

DVC, the stores and these stages are real here; what models would do, and all other stages, is cheap.
"""

import random
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from dopsd.family import Context
from tasks import caption, embed, ingest
from tasks.planning.count import Count
from tasks.planning.plan import plan
from tasks.planning.selection import Selection
from tasks.stores.reuse import last
from tests.fake_workspace import FakeWorkspace
from tests.tasks.oracle import World, settled

STAGES = ("caption", "embed")
UNTIL = Selection(until="embed")
Images = dict[str, Count | None]


class Words:
    """A captioner that says the colour of the first point."""

    def __init__(self, *_: object) -> None: ...

    def captions(self, images: Sequence[Image.Image], instruction: str) -> list[str]:
        return [f"colour {image.getpixel((0, 0))}" for image in images]


class Numbers:
    """An encoder of nothing."""

    size_multiple = 8

    def student_contexts(self, captions: Sequence[str]) -> list[Context]:
        return [Context(torch.zeros(len(caption), 1)) for caption in captions]

    def teacher_contexts(self, captions: Sequence[str], images: Sequence[Image.Image]) -> list[Context]:
        return [
            Context(torch.zeros(len(caption) + image.width, 1)) for caption, image in zip(captions, images, strict=True)
        ]

    def latents(self, images: Sequence[Image.Image]) -> torch.Tensor:
        return torch.zeros(len(images), 1, 2, 2)


def draw(world: World, name: str, colour: int, caption: str | None = None) -> None:
    path = world.root / "photos" / name
    Image.new("RGB", (24, 16), (colour, colour // 2, 255 - colour)).save(path)
    if caption:
        path.with_suffix(".txt").write_text(caption)


@pytest.fixture(scope="module")
def real() -> Iterator[None]:
    """Let the models' work be cheap."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caption, "Captioner", Words)
        patch.setattr(embed, "_loaded", lambda *_: Numbers())
        yield


def works(world: World) -> Iterator[World]:
    """Let DVC call the three stages as they are."""
    with settled(world), pytest.MonkeyPatch.context() as patch:
        for module in (ingest, caption, embed):
            patch.setitem(sys.modules, module.__name__, module)
        yield world


@pytest.fixture(scope="module")
def done(real: None, tmp_path_factory: pytest.TempPathFactory) -> FakeWorkspace:
    """A workspace in which the stages up to embed ran once, after a plan that said what they would compute."""
    world = World(FakeWorkspace.at(tmp_path_factory.mktemp("done")), random.Random(0))
    (world.root / "photos/a.png").unlink()
    world.workspace.change("ingest.min_side_px", 16)
    world.workspace.change("embed.image_side_px", 16)
    for number in range(6):
        draw(world, f"{number}.png", 40 * number, f"[V] number {number}" if number < 3 else None)
    for _ in works(world):
        assert keeps_its_promise(world) == {"caption": Count(3, 0), "embed": Count(6, 0)}
    return world.workspace


@pytest.fixture
def world(done: FakeWorkspace, tmp_path: Path) -> Iterator[World]:
    shutil.copytree(done.root, tmp_path, dirs_exist_ok=True, symlinks=True)
    yield from works(World(FakeWorkspace(tmp_path), random.Random(1)))


def keeps_its_promise(world: World) -> Images:
    """Plan, run, and compare what was said of images with what was computed."""
    promised = {row.name: row for row in plan(world.root, UNTIL, remembers=True, counts=True).rows}
    for stage in STAGES:
        (world.root / f"runs/{stage}/reuse.json").unlink(missing_ok=True)
    world.run("embed")
    for stage in STAGES:
        said, found = promised[stage].images, last(world.root / "runs", stage)
        if found is None:
            continue  # it did not run: what it waited for came out as it was
        assert said is not None, f"{stage} ran: {promised[stage]}"
        if said.certainty == "exactly":
            assert (said.computed, said.reused) == (found["computed"], found["reused"]), stage
        if said.certainty == "at most":
            assert said.computed >= found["computed"], stage
    return {stage: promised[stage].images for stage in STAGES}


def adds(*names: str, caption: str | None = None) -> Callable[[World], None]:
    def change(world: World) -> None:
        for number, name in enumerate(names):
            draw(world, name, 8 + 3 * number, caption)

    return change


def writes(path: str, text: str) -> Callable[[World], None]:
    return lambda world: world.workspace.write(path, text)


def says(key: str, value: object) -> Callable[[World], None]:
    return lambda world: world.workspace.change(key, value)


def removes(*paths: str) -> Callable[[World], None]:
    return lambda world: [(world.root / path).unlink() for path in paths] and None


def renames(world: World) -> None:
    for suffix in (".png", ".txt"):
        (world.root / f"photos/1{suffix}").rename(world.root / f"photos/one{suffix}")


def replaces(world: World) -> None:
    """Put another picture under the name, of the same size."""
    before = (world.root / "photos/4.png").stat().st_size
    draw(world, "4.png", 161)
    assert (world.root / "photos/4.png").stat().st_size == before


def spoils(kind: str, how: Callable[[Path], object]) -> Callable[[World], None]:
    """Harm an entry, and let embed have its turn."""

    def change(world: World) -> None:
        how(sorted((world.root / "runs/store" / kind).glob("??/*"))[0])
        world.workspace.change("embed.batch_size", 3)

    return change


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


TABLE = '{"file_name": "4.png", "text": "[V] from a table"}'
CHANGES: Mapping[str, tuple[Callable[[World], None], Count | None, Count | None]] = {
    "nothing": (lambda world: None, None, None),
    "two images": (adds("x.png", "y.png"), Count(2, 3), Count(2, 6)),
    "an image with a caption": (adds("x.png", caption="[V] x"), Count(0, 3), Count(1, 6)),
    "an image removed": (removes("photos/4.png"), Count(0, 2), Count(0, 5)),
    "an image and its caption renamed": (renames, Count(0, 3), Count(0, 6)),
    "an image replaced by one of the same name and size": (replaces, Count(1, 2), Count(1, 5)),
    "a caption edited": (writes("photos/1.txt", "another [V]"), Count(0, 3), Count(1, 5)),
    "a caption added": (writes("photos/5.txt", "a new [V]"), Count(0, 2), Count(1, 5)),
    "a table of captions": (writes("photos/metadata.jsonl", TABLE), Count(0, 2), Count(1, 5)),
    "two captions as JSON": (writes("photos/5.json", '{"text": ["[V] so", "[V] or so"]}'), Count(0, 2), Count(1, 5)),
    "a caption removed": (removes("photos/1.txt"), Count(1, 3), Count(1, 5, "at most")),
    "a caption that cannot be used": (writes("photos/1.txt", "\0"), Count(1, 3), Count(1, 5, "at most")),
    "a file that is no image": (writes("photos/x.png", "x"), Count(0, 3), Count(0, 6)),
    "twenty images": (adds(*(f"x{n}.png" for n in range(20))), Count(20, 3, "at most"), Count(20, 6, "at most")),
    "the same image twice": (lambda world: draw(world, "9.png", 40), Count(0, 3), Count(0, 6)),
    "another instruction": (says("caption.instruction", "Say it."), Count(3, 0), Count(3, 3, "at most")),
    "another size": (says("embed.image_side_px", 24), None, Count(6, 0)),
    "pictures in their own shape": (says("embed.bucket_step_px", 4), None, Count(6, 0)),
    "another size of batches": (says("embed.batch_size", 2), None, Count(0, 6)),
    "plain words": (says("embed.class_noun", "star"), None, Count(6, 0)),
    "another's picture": (says("embed.teacher_image", "another"), None, Count(6, 0)),
    "weights of the base": (writes("models/base/x.safetensors", "x"), None, Count(6, 0)),
    "weights of the VLM": (writes("models/vlm/x.safetensors", "x"), Count(3, 0), Count(6, 0, "at most")),
    "a rule of ingest": (says("ingest.max_megapixels", 32), Count(0, 3, "about"), Count(0, 6, "about")),
    "an entry deleted": (spoils("teacher", Path.unlink), None, Count(1, 5)),
    "an entry with a flipped bit": (spoils("latents", flip), None, Count(1, 5)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_plan_says_of_images_is_what_is_computed(world: World, change: str) -> None:
    make, captions, embeddings = CHANGES[change]
    make(world)
    assert keeps_its_promise(world) == {"caption": captions, "embed": embeddings}
    assert plan(world.root, UNTIL, counts=True).is_idle


def test_a_shard_by_itself_is_a_source(world: World) -> None:
    pictures = [(world.root / f"photos/{number}.png").read_bytes() for number in range(6)]
    world.workspace.change("ingest.source", "shard.parquet")
    for count in (4, 6):
        cells = [{"bytes": picture, "path": None} for picture in pictures[:count]]
        texts = [f"[V] number {number}" for number in range(count)]
        parquet.write_table(pyarrow.table({"image": cells, "text": texts}), world.root / "shard.parquet")
        promised = keeps_its_promise(world)["embed"]
        assert promised is not None and promised.certainty == "about"
        assert plan(world.root, UNTIL, counts=True).is_idle


def test_after_one_change_another_is_promised_as_truly(world: World) -> None:
    turns = world.chance.sample(sorted(set(CHANGES) - {"nothing"}), 5)
    for change in turns:
        try:
            CHANGES[change][0](world)
        except FileNotFoundError:  # removed before
            continue
        keeps_its_promise(world)
