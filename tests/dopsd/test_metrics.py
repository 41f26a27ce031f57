"""Metrics against closed forms and known orders."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch.nn.functional import cosine_similarity
from transformers import AutoTokenizer, CLIPModel, DINOv3ViTModel

from dopsd.metrics.faithfulness import ClipScore
from dopsd.metrics.few_step import contrast, curvature, noise_floor, sharpness
from dopsd.metrics.likeness import DinoDistance
from dopsd.metrics.prompting import plain_prompt
from dopsd.pixels import pixels
from dopsd.pretrained import revision
from dopsd.sampling import Walk


def greys(values: np.ndarray) -> Image.Image:
    """Turn grey values in [0, 1] into a picture."""
    return Image.fromarray((values * 255).round().clip(0, 255).astype(np.uint8)).convert("RGB")


def walked(velocities: torch.Tensor, sigmas: list[float]) -> Walk:
    """Make a walk of one picture with these velocities, shape (steps, values)."""
    return Walk(torch.zeros(1, 1, 1, 2), velocities.view(len(velocities), 1, 1, 1, -1), torch.tensor(sigmas))


def test_a_straight_walk_has_no_curvature() -> None:
    assert curvature(walked(torch.tensor([[1.0, 2.0]] * 4), [1, 0.9, 0.75, 0.5, 0])) == [0.0]


def test_curvature_is_variance_over_the_squared_mean_by_length() -> None:
    # Lengths 1/4 and 3/4: mean (1, 0) -> (1/4)(1 + 3) and 0; spread 1/4 * 3^2 + 3/4 * 1^2 = 3, mean squared 4.
    bent = walked(torch.tensor([[5.0, 0.0], [1.0, 0.0]]), [1, 0.75, 0])
    assert curvature(bent) == pytest.approx([3 / 4])


def test_contrast_of_a_chequerboard_is_half_its_range() -> None:
    board = np.indices((16, 16)).sum(0) % 2
    assert contrast([greys(board * 0.8)]) == pytest.approx([math.log(0.4)], abs=1e-3)


def test_sharpness_of_a_ramp_is_its_slope() -> None:
    ramp = np.tile(np.linspace(0, 1, 64), (64, 1))
    # A step of 1/63 a pixel is 2/63 at half resolution; Sobel / 8 measures it exactly, up to 8-bit rounding.
    assert sharpness([greys(ramp)]) == pytest.approx([2 * math.log(2 / 63)], abs=0.05)


def test_the_noise_floor_is_the_noise() -> None:
    noise = np.random.default_rng(0).normal(0.5, 0.05, (256, 256))
    assert noise_floor([greys(noise)]) == pytest.approx([math.log(0.05)], abs=0.05)
    assert noise_floor([Image.new("RGB", (16, 16))]) == pytest.approx([math.log(1e-6)])


def test_each_signal_moves_with_its_own_fault(picture: Callable[[int], Image.Image]) -> None:
    sharp = picture(0).resize((64, 64), Image.Resampling.NEAREST)
    blurred = sharp.filter(ImageFilter.GaussianBlur(4))
    grey = Image.blend(sharp, Image.new("RGB", (64, 64), "grey"), 0.5)
    grain = np.random.default_rng(0).normal(0, 12, (64, 64, 1))
    noisy = Image.fromarray((np.array(sharp) + grain).clip(0, 255).astype(np.uint8))
    assert sharpness([blurred])[0] < sharpness([sharp])[0] - 0.2
    assert contrast([grey])[0] == pytest.approx(contrast([sharp])[0] - math.log(2), abs=0.02)
    assert noise_floor([noisy])[0] > noise_floor([sharp])[0] + 0.2


def test_pictures_of_mixed_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one size together"):
        pixels([Image.new("RGB", (8, 8)), Image.new("RGB", (8, 16))])


def test_dino_distance_is_a_distance(models: Any, picture: Callable[[int], Image.Image]) -> None:
    measure = DinoDistance(models.dino)
    images, targets = [picture(n) for n in range(3)], [picture(n) for n in (3, 4, 5)]
    assert measure.name == f"dino_d@small-dino@{revision(models.dino)}"
    assert measure.distances(images, images) == pytest.approx([0, 0, 0], abs=1e-6)
    assert measure.distances(images, targets) == pytest.approx(measure.distances(targets, images), abs=1e-6)
    assert all(0 < value < 2 for value in measure.distances(images, targets))


def test_dino_features_are_the_mean_of_the_patch_tokens(models: Any, picture: Callable[[int], Image.Image]) -> None:
    network = DINOv3ViTModel.from_pretrained(models.dino)
    x = (pixels([picture(1)]) - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    with torch.no_grad():
        tokens = network(pixel_values=x).last_hidden_state
    assert tokens.shape[1] == 1 + 2 + 9
    wanted = tokens[:, 3:].mean(1)
    assert torch.allclose(DinoDistance(models.dino).features([picture(1)]), wanted, atol=1e-6)


def test_dino_sees_targets_at_the_pictures_size(models: Any, picture: Callable[[int], Image.Image]) -> None:
    big = picture(0).resize((48, 40), Image.Resampling.BICUBIC)
    measure = DinoDistance(models.dino)
    assert measure.distances([big, picture(0)], [big, picture(0)]) == pytest.approx([0, 0], abs=1e-6)
    assert measure.distances([picture(0)], [big])[0] < measure.distances([picture(0)], [picture(1)])[0]


def test_clip_score_is_the_cosine_of_its_embeddings(models: Any, picture: Callable[[int], Image.Image]) -> None:
    network, tokens = CLIPModel.from_pretrained(models.clip), AutoTokenizer.from_pretrained(models.clip)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    with torch.no_grad():
        image = network.get_image_features((pixels([picture(0)]) - mean) / std).pooler_output
        text = network.get_text_features(**tokens(["a red star"], return_tensors="pt")).pooler_output
    measure = ClipScore(models.clip)
    wanted = cosine_similarity(image, text).item()
    assert measure.scores([picture(0)], ["a red star"]) == pytest.approx([wanted], abs=1e-5)
    together = measure.scores([picture(0), picture(1)], ["a red star", "x"])
    assert together[0] == pytest.approx(wanted, abs=1e-5)
    assert measure.name.startswith("clip_s@small-clip@")


def test_clip_score_wants_a_prompt_a_picture(models: Any, picture: Callable[[int], Image.Image]) -> None:
    with pytest.raises(ValueError, match="one prompt a picture"):
        ClipScore(models.clip).scores([picture(0)], [])


@pytest.mark.parametrize(
    ("prompt", "noun", "plain"),
    [
        ("a [V] star on blue", "star", "a star on blue"),
        ("a [V] on blue", "star", "a star on blue"),
        ("a [V] on blue", "teddy_bear", "a teddy bear on blue"),
        ("a [V] on blue", "", "a thing on blue"),
        ("no concept here", "star", "no concept here"),
    ],
)
def test_the_placeholder_becomes_the_class_noun(prompt: str, noun: str, plain: str) -> None:
    assert plain_prompt(prompt, noun, "[V]") == plain
