"""A picture keeps most of its shape, at about the same area; what was cut off stands where it was cut."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from workspace import Workspace

from dopsd.families.catalogue import family
from tasks import embed
from tasks.folders import read_json, read_rows, sha256_of_folder
from tasks.images.buckets import buckets, fitting, visible
from tasks.images.crop import POLICY, cover, kept
from tasks.images.dataset import Pair, dataset, embedded, square, stored
from tasks.params import load
from tasks.pipeline import PLACES, Room
from tasks.sections import Embed
from tasks.stores.entries import KEYS, Origin
from tasks.stores.store import key_of

USUAL = Embed(image_side_px=1024, bucket_step_px=64)
SHAPES = {(80, 80): (40, 40), (60, 40): (48, 32), (40, 60): (32, 48), (130, 50): (64, 24), (78, 40): (48, 32)}
"""What pictures of these sizes come to, at 40 px in steps of 8."""


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((3000, 3000), (1024, 1024)),
        ((2000, 1000), (1472, 704)),
        ((1000, 2000), (704, 1472)),
        ((3000, 2000), (1216, 832)),
        ((1920, 1080), (1344, 768)),
        ((800, 200), (2048, 512)),
        ((900, 30), (2048, 512)),
    ],
)
def test_a_picture_goes_to_the_bucket_of_its_shape(picture: tuple[int, int], size: tuple[int, int]) -> None:
    assert fitting(picture, USUAL) == size
    assert fitting(picture, Embed(image_side_px=1024)) == (1024, 1024)


@pytest.mark.parametrize(("side", "step"), [(1024, 64), (1024, 16), (512, 32), (768, 64), (40, 8), (40, 40)])
def test_buckets_have_whole_steps_about_one_area_and_no_extreme_shape(side: int, step: int) -> None:
    found = buckets(side, step)
    assert found[0] == (side, side)
    assert len(set(found)) == len(found)
    assert {size[::-1] for size in found} == set(found)
    for width, height in found:
        assert width % step == height % step == 0
        assert 0.25 <= width / height <= 4
        assert 1 - step / side < width * height / side**2 <= 1
    assert (side, step) != (1024, 64) or min(width * height for width, height in found) > 0.96 * 1024**2


def test_of_two_that_fit_equally_the_one_nearest_the_square_is_taken() -> None:
    small = Embed(image_side_px=40, bucket_step_px=8)
    assert visible((20, 10), (48, 32)) == visible((20, 10), (64, 24)) == 0.75
    assert fitting((20, 10), small) == (48, 32)
    assert fitting((10, 20), small) == (32, 48)


def test_a_step_that_the_square_is_not_made_of_is_told_with_its_key(workspace: Workspace) -> None:
    workspace.change("embed.bucket_step_px", 16)
    with pytest.raises(ValueError, match=r"embed\.bucket_step_px is 16, and image_side_px, 40, no multiple .* to 32"):
        load(workspace.root)


@pytest.mark.parametrize("picture", [(301, 100), (64, 251), (90, 90), (37, 36)])
@pytest.mark.parametrize("size", [(48, 32), (32, 48), (40, 40)])
def test_the_box_that_is_recorded_is_what_was_cut(picture: tuple[int, int], size: tuple[int, int]) -> None:
    left, top, right, bottom = kept(picture, width=size[0], height=size[1])
    assert 0 <= left < right <= picture[0]
    assert 0 <= top < bottom <= picture[1]
    assert (right - left) * (bottom - top) == pytest.approx(visible(picture, size) * picture[0] * picture[1], rel=0.05)
    places = np.indices(picture[::-1], dtype=np.float32) + 0.5  # how far down and across the middle of each pixel is
    for axis, (first, end) in enumerate(((top, bottom), (left, right))):
        seen = np.moveaxis(np.asarray(cover(Image.fromarray(places[axis]), width=size[0], height=size[1])), axis, 0)
        middles = first + (np.arange(len(seen)) + 0.5) * (end - first) / len(seen)
        assert abs(seen - middles[:, None])[4:-4].max() < 0.1  # beside the edges of a picture, less is averaged


def test_a_square_has_the_key_that_it_always_had() -> None:
    pair, origin = Pair("3f0c", "", "a [V]", Path(), (40, 40)), Origin("z-image", "base", "eyes", "vlm", "code")
    said = {"image": "3f0c", "side_px": 40, "crop": POLICY, "family": "z-image", "base": "base", "made_by": "code"}
    assert KEYS["latents"](pair, origin) == key_of(said | {"kind": "latents"})
    shapes = [(40, 40), (48, 32), (32, 48)]
    for kind, count in {"student": 1, "teacher": 3, "latents": 3}.items():
        assert len({KEYS[kind](replace(pair, size=size), origin) for size in shapes}) == count


@pytest.fixture
def shaped(workspace: Workspace) -> Workspace:
    """Keep a picture of each shape, each with a caption."""
    for number, path in enumerate(sorted((workspace.root / "photos").glob("*.png"))):
        size = dict(enumerate(SHAPES)).get(number)
        if size is None:
            path.unlink()
            path.with_suffix(".txt").unlink(missing_ok=True)
            continue
        Image.open(path).convert("RGB").resize(size).save(path)
        path.with_suffix(".txt").write_text("a [V] star")
    workspace.run("ingest", "caption")
    return workspace


def room_of(workspace: Workspace) -> Room:
    return Room({place: workspace.root / PLACES[place] for place in ("images", "captions", "embeddings")}, {}, Path())


def test_each_is_embedded_at_its_size_and_says_what_was_seen_of_it(shaped: Workspace) -> None:
    folder = shaped.root / "data" / "embeddings"
    shaped.run("embed")
    before = sha256_of_folder(folder)
    assert {"width", "height", "crop"}.isdisjoint(key for row in read_rows(folder / "index.jsonl") for key in row)
    assert "bucket_step_px" not in read_json(folder / "manifest.json")["params"]
    shaped.change("embed.bucket_step_px", 8)
    shaped.run("embed")
    assert shaped.json("runs/embed/reuse.json") == {"computed": 4, "reused": 1, "damaged": 0}  # the square was there
    vae = family("z-image").load_decoder(shaped.params["models"]["base"])
    index = {row["id"]: row for row in read_rows(folder / "index.jsonl")}
    for pair in dataset(room_of(shaped), load(shaped.root).embed):
        row, picture = index[pair.id], stored(pair.path)
        assert pair.size == SHAPES[picture.size] == (row["width"], row["height"])
        assert row["crop"] == pytest.approx(kept(picture.size, width=pair.size[0], height=pair.size[1]), abs=0.005)
        latents = load_file(folder / "entries" / f"{pair.id}.safetensors")["latents"]
        assert latents.shape == (8, pair.size[1] // 4, pair.size[0] // 4)
        assert torch.equal(latents, vae.latents([pair.picture()])[0])
    assert [pair.size for pair in embedded(room_of(shaped))] == [
        (row["width"], row["height"]) for row in index.values()
    ]
    assert square(room_of(shaped)) == (40, 40)
    shaped.change("embed.bucket_step_px", 0)
    shaped.run("embed")
    assert sha256_of_folder(folder) == before


def test_a_step_that_the_family_cannot_encode_is_told_with_its_key(shaped: Workspace) -> None:
    shaped.change("embed.bucket_step_px", 4)
    with pytest.raises(ValueError, match=r"embed\.bucket_step_px is 4: the family needs a multiple of 8, such as 8"):
        shaped.run("embed")


def test_a_gpus_batches_hold_one_size_and_every_picture(shaped: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Place:
        device = torch.device("meta")

    asked = dataset(room_of(shaped), Embed(image_side_px=40, bucket_step_px=8))
    rows = [(pair.caption, pair.picture()) for pair in sorted(asked, key=lambda pair: pair.size)]
    seen: list[set[tuple[int, int]]] = []

    def note(_: object, some: list[tuple[str, Image.Image]]) -> list[bytes]:
        seen.append({picture.size for _, picture in some})
        return [picture.tobytes() for _, picture in some]

    monkeypatch.setattr(embed, "fastest", lambda: Place)
    monkeypatch.setattr(embed, "MAKERS", {"latents": note})
    assert list(embed._made("latents", lambda: None, rows)) == [picture.tobytes() for _, picture in rows]
    assert [len(sizes) for sizes in seen] == [1] * 4


def test_the_probe_draws_each_picture_at_its_size(shaped: Workspace) -> None:
    shaped.change("embed.bucket_step_px", 8)
    shaped.change("train.num_steps", 1)
    shaped.run("embed", "probe")
    assert shaped.json("data/probe/probe.json")["gain"]["count"] == len(SHAPES)
