"""Each image is computed once, whatever the order, the batch or the accident."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from workspace import MODELS, Workspace

from dopsd.dataset.examples import Examples
from tasks import embed
from tasks.folders import sha256_of_folder
from tasks.images.dataset import Pair
from tasks.params import load
from tasks.planning.fingerprint import running
from tasks.stores.entries import KEYS, Origin


@pytest.fixture
def captioned(workspace: Workspace) -> Workspace:
    """Keep five pictures, each with a caption of its own length."""
    for number, path in enumerate(sorted((workspace.root / "photos").glob("*.png"))):
        if number < 5:
            path.with_suffix(".txt").write_text(f"a [V] star number {'very ' * number}")
        else:
            path.unlink()
            path.with_suffix(".txt").unlink(missing_ok=True)
    workspace.run("ingest", "caption")
    return workspace


def embedded(workspace: Workspace) -> tuple[dict[str, int], str]:
    """Run the stage; give what it computed and reused, and the digest of what it wrote."""
    workspace.run("embed")
    return workspace.json("runs/embed/reuse.json"), sha256_of_folder(workspace.root / "data" / "embeddings")


def entries(workspace: Workspace, kind: str) -> list[Path]:
    """List the store's entries of one kind."""
    return sorted((workspace.root / "runs" / "store" / kind).glob("??/*"))


def test_a_second_run_computes_nothing_and_loads_no_model(
    captioned: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, digest = embedded(captioned)
    assert first == {"computed": 5, "reused": 0, "damaged": 0}

    def refuse(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(embed, "_loaded", refuse)
    assert embedded(captioned) == ({"computed": 0, "reused": 5, "damaged": 0}, digest)


def test_a_new_image_is_the_only_one_computed(captioned: Workspace) -> None:
    embedded(captioned)
    Image.effect_noise((50, 40), 60).convert("RGB").save(captioned.root / "photos" / "new.png")
    (captioned.root / "photos" / "new.txt").write_text("another [V]")
    captioned.run("ingest", "caption")
    assert embedded(captioned)[0] == {"computed": 1, "reused": 5, "damaged": 0}


def test_an_edited_caption_costs_two_contexts_and_no_latents(captioned: Workspace) -> None:
    embedded(captioned)
    next((captioned.root / "photos").glob("*.txt")).write_text("an edited [V]")
    captioned.run("ingest", "caption")
    assert embedded(captioned)[0] == {"computed": 1, "reused": 4, "damaged": 0}
    assert [len(entries(captioned, kind)) for kind in ("student", "teacher", "latents")] == [6, 6, 5]


def test_each_of_several_captions_costs_two_contexts_once(captioned: Workspace) -> None:
    embedded(captioned)
    path = next((captioned.root / "photos").glob("*.txt"))
    said = path.read_text()
    path.with_suffix(".json").write_text(json.dumps({"text": [said, "[V] in other words", "[V] again"]}))
    path.unlink()
    captioned.run("ingest", "caption")
    assert embedded(captioned)[0] == {"computed": 1, "reused": 4, "damaged": 0}
    assert [len(entries(captioned, kind)) for kind in ("student", "teacher", "latents")] == [7, 7, 5]
    (row,) = (row for row in Examples.read(captioned.root / "data/embeddings/entries") if row.others)
    assert len({len(one.student.tokens) for one in (row, *row.others)}) > 1


def test_a_removed_image_costs_nothing(captioned: Workspace) -> None:
    embedded(captioned)
    next((captioned.root / "photos").glob("*.png")).unlink()
    captioned.run("ingest", "caption")
    assert embedded(captioned)[0] == {"computed": 0, "reused": 4, "damaged": 0}


def test_batches_of_one_write_the_same_bytes_as_batches_of_many(captioned: Workspace) -> None:
    entry = "data/embeddings/entries"
    embedded(captioned)
    together = sha256_of_folder(captioned.root / entry)
    for kind in ("student", "teacher", "latents"):
        for path in entries(captioned, kind):
            path.unlink()
    captioned.change("embed.batch_size", 1)
    assert embedded(captioned)[0]["computed"] == 5
    assert sha256_of_folder(captioned.root / entry) == together


def test_a_flipped_byte_is_told_and_computed_again(captioned: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    _, digest = embedded(captioned)
    path = entries(captioned, "latents")[2]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    entries(captioned, "teacher")[0].unlink()
    reuse, again = embedded(captioned)
    assert again == digest
    assert reuse["damaged"] == 1
    assert 1 <= reuse["computed"] <= 2
    assert f"{path} was damaged and is computed again" in capsys.readouterr().err


def test_a_size_that_the_family_cannot_encode_is_told_with_its_key(captioned: Workspace) -> None:
    captioned.change("embed.image_side_px", 43)
    with pytest.raises(ValueError, match=r"embed\.image_side_px is 43: the family needs a multiple of 8, such as 40"):
        captioned.run("embed")
    assert not (captioned.root / "data" / "embeddings").exists()


def test_another_size_is_another_entry_but_the_same_student(captioned: Workspace) -> None:
    embedded(captioned)
    captioned.change("embed.image_side_px", 48)
    assert embedded(captioned)[0]["computed"] == 5
    assert [len(entries(captioned, kind)) for kind in ("student", "teacher", "latents")] == [5, 10, 10]


def test_a_way_to_show_pictures_that_the_family_lacks_is_told_with_its_key(captioned: Workspace) -> None:
    captioned.change("embed.teacher_context", "reference")
    with pytest.raises(
        ValueError, match=r"embed\.teacher_context is 'reference', which z-image cannot do: .* auto, vlm"
    ):
        captioned.run("embed")


def test_the_way_to_show_pictures_is_in_a_teachers_key_alone() -> None:
    pair = Pair("3f0c", "star.png", "a [V] star", Path("star.png"), (40, 40))
    keys = {
        mode: [key(pair, Origin("flux2-klein", "base", "eyes", mode, "code")) for key in KEYS.values()]
        for mode in ("vlm", "reference", "both")
    }
    student, teacher, latents = zip(*keys.values(), strict=True)
    assert (len(set(student)), len(set(teacher)), len(set(latents))) == (1, 3, 1)


def test_a_reference_does_not_depend_on_the_vlm() -> None:
    pair = Pair("3f0c", "star.png", "a [V] star", Path("star.png"), (40, 40))
    origin = Origin("flux2-klein", "base", "eyes", "reference", "code")
    blind = replace(origin, vision_language="other eyes")
    assert KEYS["teacher"](pair, origin) == KEYS["teacher"](pair, blind)


def test_another_picture_costs_new_teacher_contexts_alone(captioned: Workspace) -> None:
    _, before = embedded(captioned)
    students = _tensors(captioned, "student")
    captioned.change("embed.teacher_image", "another")
    reuse, digest = embedded(captioned)
    assert reuse["computed"] == 5
    assert digest != before
    assert [len(entries(captioned, kind)) for kind in ("student", "teacher", "latents")] == [5, 10, 5]
    assert all(torch.equal(one, two) for one, two in zip(students, _tensors(captioned, "student"), strict=True))


def test_the_class_is_told_in_plain_words(captioned: Workspace) -> None:
    embedded(captioned)
    captioned.change("embed.class_noun", "star")
    assert embedded(captioned)[0]["computed"] == 5
    assert [len(entries(captioned, kind)) for kind in ("student", "teacher", "latents", "plain")] == [5, 5, 5, 5]
    student, plain = _tensors(captioned, "student"), _tensors(captioned, "plain")
    assert all(len(one) > len(other) for one, other in zip(student, plain, strict=True))  # "[V]" is gone


def _tensors(workspace: Workspace, name: str) -> list[torch.Tensor]:
    """Read one tensor of every entry."""
    paths = sorted((workspace.root / "data" / "embeddings" / "entries").iterdir())
    return [load_file(path)[name] for path in paths]


def test_entries_are_kept_for_as_long_as_the_code_that_makes_them_does_the_same(
    workspace: Workspace, tmp_path: Path
) -> None:
    params, pair = load(workspace.root), Pair("3f0c", "star.png", "a [V] star", Path("star.png"), (40, 40))
    models, code = (
        {name: MODELS / f"tiny-{kind}" for name, kind in (("base", "z-image"), ("vlm", "qwen3-vl"))},
        running(),
    )

    def keys(path: str, addition: str) -> list[str]:
        origin = Origin.of(params, models, tmp_path / "runs", code | {path: code[path] + addition})
        return [key(pair, origin) for key in KEYS.values()]

    encoder, now = "dopsd/families/z_image_encoder.py", keys("dopsd/pixels.py", "")
    assert keys(encoder, "\n# a comment\n") == now
    assert keys("dopsd/families/z_image.py", "\n\nFAMILY = None\n") == now  # the denoiser's side
    assert not set(keys(encoder, "\n\n_LONGEST_TALK = 7\n")) & set(now)
    assert not set(keys("tasks/stores/making.py", "\n\n\ndef _packed(context):\n    return b''\n")) & set(now)
