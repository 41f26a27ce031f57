"""Loading: what is missing or damaged is named, with the mend."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dopsd.captioner import Captioner
from dopsd.families.catalogue import family
from dopsd.pretrained import named, revision
from dopsd.vision_language import teacher_vlm

FAMILY = family("z-image")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model directory .*nowhere: put the model there"):
        FAMILY.load_denoiser(tmp_path / "nowhere")


def test_a_missing_model_in_an_existing_folder_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no model directory models/tiny"):
        FAMILY.load_denoiser("models/tiny")


def test_a_missing_part_is_named(models: Any, tmp_path: Path) -> None:
    shutil.copytree(models.base, tmp_path / "base")
    shutil.rmtree(tmp_path / "base" / "scheduler")
    with pytest.raises(FileNotFoundError, match=r"base/scheduler.*\n.*complete"):
        FAMILY.load_denoiser(tmp_path / "base")


def test_pickled_weights_are_not_read(models: Any, tmp_path: Path) -> None:
    shutil.copytree(models.base / "transformer", tmp_path / "base" / "transformer")
    (tmp_path / "base/transformer/diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, tmp_path / "base/transformer/diffusion_pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match="base/transformer"):
        FAMILY.load_denoiser(tmp_path / "base")


def test_damaged_weights_are_named(models: Any, tmp_path: Path) -> None:
    shutil.copytree(models.base, tmp_path / "base")
    path = tmp_path / "base/text_encoder/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"weights of .*text_encoder are damaged"):
        FAMILY.load_encoder(tmp_path / "base", models.vision_language)


def test_a_vlm_of_another_size_is_refused(models: Any) -> None:
    with pytest.raises(ValueError, match="another architecture"):
        teacher_vlm(torch.nn.Linear(2, 2), models.vision_language)


def test_the_name_follows_the_weights(models: Any, tmp_path: Path) -> None:
    shutil.copytree(models.dino, tmp_path / "dino")
    assert named(tmp_path / "dino") == f"dino@{revision(models.dino)}"
    (tmp_path / "dino" / "README.md").write_text("words")
    assert revision(tmp_path / "dino") == revision(models.dino)
    config = tmp_path / "dino" / "config.json"
    config.write_text(config.read_text().replace("2", "3"))
    assert revision(tmp_path / "dino") != revision(models.dino)


def test_a_family_nobody_wrote_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of z-image, flux2-klein"):
        family("stable-diffusion")


def test_captions_do_not_depend_on_their_neighbours(models: Any, picture: Callable[[int], Image.Image]) -> None:
    captioner = Captioner(models.vision_language)
    images = [picture(0), picture(1)]
    together = captioner.captions(images, "Describe.")
    assert together == [captioner.captions([image], "Describe.")[0] for image in images]
    assert captioner.captions([], "Describe.") == []
