"""A family is whatever passes this file: add a row to FAMILIES, and make it pass."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel

from dopsd.adapter import Shape, attach_, save_adapter
from dopsd.families.catalogue import NAMES, family
from dopsd.family import Context, Denoiser, Encoder, Family
from dopsd.pixels import pixels
from dopsd.sampling import noise, sample, walk

PROMPTS = ["a [V] star", "a red circle on blue", "moon, 月"]
NUM_STEPS = 4


@dataclass(frozen=True)
class Side:
    """A family with both its sides, and a fresh pipeline to compare with."""

    family: Family
    encoder: Encoder
    denoiser: Denoiser
    pipeline: DiffusionPipeline
    base: Path


@pytest.fixture(params=NAMES)
def side(request: pytest.FixtureRequest, models: Any) -> Side:
    """Load each family of the catalogue from its small stand-in."""
    base = {"z-image": models.base}[request.param]
    made = family(request.param)
    fresh = made.pipeline.from_pretrained(base)
    fresh.set_progress_bar_config(disable=True)
    return Side(made, made.load_encoder(base, models.vision_language), made.load_denoiser(base), fresh, base)


def painted(side: Side, prompts: list[str], seeds: list[int], output: str) -> Tensor:
    """Let the installed pipeline draw, each picture from its own generator."""
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    images = side.pipeline(
        prompt=list(prompts), height=24, width=24, num_inference_steps=NUM_STEPS, guidance_scale=0.0,
        generator=generators, output_type=output,
    ).images  # fmt: skip
    return torch.as_tensor(images)


def decoded(side: Side, latents: Tensor) -> Tensor:
    """Decode latents in floating point with the fresh pipeline's VAE, (n, h, w, 3) in [0, 1]."""
    vae = side.pipeline.vae
    with torch.no_grad():
        pictures = vae.decode(latents / vae.config.scaling_factor + vae.config.shift_factor).sample
    return torch.from_numpy(side.pipeline.image_processor.postprocess(pictures, output_type="np"))


def test_each_side_loads_only_its_own_models(side: Side) -> None:
    held = [part for part in vars(side.denoiser).values() if isinstance(part, nn.Module)]
    assert held == [side.denoiser.network]
    assert not any(isinstance(part, (AutoencoderKL, PreTrainedModel)) for part in held)
    assert side.encoder._pipeline.transformer is None  # type: ignore[attr-defined]


def test_sigmas_fall_from_noise_to_image(side: Side) -> None:
    sigmas = side.denoiser.sigmas(NUM_STEPS, (4, 6, 6))
    assert sigmas.shape == (NUM_STEPS + 1,)
    assert (sigmas[0], sigmas[-1]) == (1, 0)
    assert all(later < earlier for earlier, later in pairwise(sigmas))


@pytest.mark.parametrize("num_steps", [1, 4, 8])
def test_training_sigmas_equal_those_of_a_hooked_inference_call(side: Side, num_steps: int) -> None:
    seen: list[float] = []
    side.pipeline.transformer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1][0].item()))
    side.pipeline(prompt="x", height=24, width=24, num_inference_steps=num_steps, guidance_scale=0.0)
    sigmas = side.denoiser.sigmas(num_steps, (4, 6, 6))
    assert torch.equal(sigmas, side.pipeline.scheduler.sigmas)
    asked: list[float] = []
    side.denoiser.network.register_forward_pre_hook(lambda _, inputs: asked.append(inputs[1][0].item()))
    walk(side.denoiser, side.encoder.student_contexts(["x"]), noise([0], (4, 6, 6)), num_steps)
    assert asked == seen


def test_a_picture_equals_the_pipelines_picture(side: Side) -> None:
    contexts = side.encoder.student_contexts(PROMPTS)
    latents = sample(side.denoiser, contexts, [3, 1, 4], latent_shape=(4, 6, 6), num_steps=NUM_STEPS)
    assert (latents - painted(side, PROMPTS, [3, 1, 4], "latent")).abs().max() < 1e-4
    assert (decoded(side, latents) - painted(side, PROMPTS, [3, 1, 4], "np")).abs().max() < 1e-3


def test_an_exported_adapter_draws_the_same_in_a_fresh_pipeline(side: Side, tmp_path: Path) -> None:
    network = side.denoiser.network
    roles = attach_(network, Shape(side.family.lora_targets, rank=4, alpha=8), teacher="ema", seed=0)
    rng = torch.Generator().manual_seed(0)
    for weight in roles.student.values():
        weight.data = torch.randn(weight.shape, generator=rng) * 0.2
    save_adapter(network, tmp_path, side.family.pipeline)
    bare = painted(side, PROMPTS, [0, 1, 2], "np")
    side.pipeline.load_lora_weights(tmp_path)
    contexts = side.encoder.student_contexts(PROMPTS)
    latents = sample(side.denoiser, contexts, [0, 1, 2], latent_shape=(4, 6, 6), num_steps=NUM_STEPS)
    theirs = painted(side, PROMPTS, [0, 1, 2], "np")
    assert (decoded(side, latents) - theirs).abs().max() < 1e-3
    assert (bare - theirs).abs().max() > 0.02


def test_velocity_is_fp32_and_blind_to_its_neighbours(side: Side) -> None:
    contexts = side.encoder.student_contexts(PROMPTS)
    x = noise([0, 1, 2], (4, 6, 6))
    with torch.no_grad():
        together = side.denoiser.velocity(x, torch.tensor(0.75), contexts)
        alone = [side.denoiser.velocity(x[n : n + 1], torch.tensor(0.75), contexts[n : n + 1]) for n in range(3)]
    assert together.dtype == torch.float32
    assert together.shape == x.shape
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_student_contexts_are_the_pipelines(side: Side) -> None:
    captions = list(PROMPTS)
    ours = side.encoder.student_contexts(captions)
    theirs = side.pipeline.encode_prompt(list(PROMPTS), do_classifier_free_guidance=False)[0]
    assert captions == PROMPTS
    assert all(torch.allclose(a.tokens, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))


def test_a_teacher_without_picture_equals_the_student(side: Side) -> None:
    student = side.encoder.student_contexts(PROMPTS)
    teacher = side.encoder.teacher_contexts(PROMPTS, [None] * 3)
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(student, teacher, strict=True))


def test_the_teacher_sees_which_picture_it_is_shown(side: Side, picture: Callable[[int], Image.Image]) -> None:
    prompts = [PROMPTS[0]] * 3
    first, other, again = side.encoder.teacher_contexts(prompts, [picture(0), picture(1), picture(0)])
    assert torch.equal(first.tokens, again.tokens)
    assert not torch.allclose(first.tokens, other.tokens)
    assert len(first.tokens) > len(side.encoder.student_contexts(prompts)[0].tokens)


def test_latents_are_the_pipelines_and_come_back_as_pictures(side: Side, picture: Callable[[int], Image.Image]) -> None:
    images = [picture(n) for n in range(3)]
    latents = side.encoder.latents(images)
    assert latents.shape == (3, 4, 6, 6)
    assert latents.dtype == torch.float32
    ours = pixels(side.encoder.pictures(latents)).movedim(1, -1)
    assert (ours - decoded(side, latents)).abs().max() <= 0.5 / 255 + 1e-6


def test_pictures_of_odd_sizes_are_refused(side: Side) -> None:
    with pytest.raises(ValueError, match=f"multiples of {side.encoder.size_multiple}"):
        side.encoder.latents([Image.new("RGB", (side.encoder.size_multiple + 1, 24))])
    with pytest.raises(ValueError, match="one size"):
        side.encoder.latents([Image.new("RGB", (24, 24)), Image.new("RGB", (32, 24))])


def test_a_caption_too_long_to_be_read_whole_is_refused(side: Side) -> None:
    with pytest.raises(ValueError, match="shorten 'star star"):
        side.encoder.student_contexts(["star " * 200])


def test_every_lora_target_matches_a_module(side: Side) -> None:
    names = [name for name, _ in side.denoiser.network.named_modules()]
    assert all(any(name.endswith(f".{target}") for name in names) for target in side.family.lora_targets)


def test_a_context_that_the_family_cannot_read_is_refused(side: Side) -> None:
    odd = Context(torch.zeros(3, 32), reference=torch.zeros(4, 6, 6))
    with pytest.raises(ValueError, match="reference"):
        side.denoiser.velocity(torch.zeros(1, 4, 6, 6), torch.tensor(1.0), [odd])
