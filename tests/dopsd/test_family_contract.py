"""A family is whatever passes this file: add a row to STANDS, and make it pass."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, DiffusionPipeline, Flux2KleinPipeline
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel

from dopsd.families.catalogue import LISTED, NAMES, family, teacher_context
from dopsd.family import Context, Denoiser, Encoder, Family
from dopsd.pixels import pixels
from dopsd.sampling import noise, sample, walk
from dopsd.weights.adapter import save_adapter
from dopsd.weights.adapter_roles import Shape, attach_

PROMPTS = ["a [V] star", "a red circle on blue", "moon, 月"]
NUM_STEPS = 4


@dataclass(frozen=True)
class Stand:
    """What the installed pipeline of a family calls its own: how it is asked, how its latents are stored."""

    base: str
    latent_shape: tuple[int, int, int]
    is_normalised: bool
    reading: dict[str, Any]
    encode: dict[str, Any]
    decodable: Callable[[Any, Tensor], Tensor]


def plain(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    return latents / vae.config.scaling_factor + vae.config.shift_factor


def unpatched(vae: AutoencoderKLFlux2, latents: Tensor) -> Tensor:
    mean, variance = vae.bn.running_mean[:, None, None], vae.bn.running_var[:, None, None]
    return Flux2KleinPipeline._unpatchify_latents(latents * (variance + vae.config.batch_norm_eps).sqrt() + mean)


LAYERS = {"text_encoder_out_layers": (0, 1, 2)}  # a quarter, a half and three quarters of 3, rounded down
STANDS = {
    "z-image": Stand("base", (4, 6, 6), True, {}, {"do_classifier_free_guidance": False}, plain),
    "flux2-klein": Stand("klein", (16, 3, 3), False, LAYERS, LAYERS, unpatched),
}


@dataclass(frozen=True)
class Side:
    """A family with both its sides, and a fresh pipeline to compare with."""

    family: Family
    encoder: Encoder
    denoiser: Denoiser
    pipeline: DiffusionPipeline
    base: Path
    stand: Stand

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape of the latents of a picture of 24 px."""
        return self.stand.latent_shape


@pytest.fixture(params=NAMES)
def side(request: pytest.FixtureRequest, models: Any) -> Side:
    """Load each family of the catalogue from its small stand-in."""
    stand, made = STANDS[request.param], family(request.param)
    base = getattr(models, stand.base)
    fresh = made.pipeline.from_pretrained(base)
    fresh.set_progress_bar_config(disable=True)
    encoder = made.load_encoder(base, models.vision_language)
    return Side(made, encoder, made.load_denoiser(base), fresh, base, stand)


def called(side: Side, prompts: list[str], **options: Any) -> Any:
    """Let the installed pipeline draw."""
    return side.pipeline(
        prompt=list(prompts), height=24, width=24, guidance_scale=0.0, **side.stand.reading, **options
    ).images


def painted(side: Side, prompts: list[str], seeds: list[int], output: str) -> Tensor:
    """Let the installed pipeline draw, each picture from its own generator."""
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    return torch.as_tensor(
        called(side, prompts, num_inference_steps=NUM_STEPS, generator=generators, output_type=output)
    )


def decoded(side: Side, latents: Tensor) -> Tensor:
    """Decode latents in floating point with the fresh pipeline's VAE, (n, h, w, 3) in [0, 1]."""
    vae = side.pipeline.vae
    with torch.no_grad():
        pictures = vae.decode(side.stand.decodable(vae, latents)).sample
    return torch.from_numpy(side.pipeline.image_processor.postprocess(pictures, output_type="np"))


def times(network: nn.Module) -> list[float]:
    """Write down every model time that `network` is asked at from now on."""
    seen: list[float] = []

    def note(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.append((named["timestep"] if "timestep" in named else inputs[1])[0].item())

    network.register_forward_pre_hook(note, with_kwargs=True)
    return seen


def test_each_side_loads_only_its_own_models(side: Side) -> None:
    held = [part for part in vars(side.denoiser).values() if isinstance(part, nn.Module)]
    assert held == [side.denoiser.network]
    assert not any(isinstance(part, (AutoencoderKL, PreTrainedModel)) for part in held)
    assert side.encoder._pipeline.transformer is None  # type: ignore[attr-defined]


def test_sigmas_fall_from_noise_to_image(side: Side) -> None:
    sigmas = side.denoiser.sigmas(NUM_STEPS, side.latent_shape)
    assert sigmas.shape == (NUM_STEPS + 1,)
    assert (sigmas[0], sigmas[-1]) == (1, 0)
    assert all(later < earlier for earlier, later in pairwise(sigmas))


@pytest.mark.parametrize("num_steps", [1, 4, 8])
def test_training_sigmas_equal_those_of_a_hooked_inference_call(side: Side, num_steps: int) -> None:
    seen = times(side.pipeline.transformer)
    called(side, ["x"], num_inference_steps=num_steps)
    sigmas = side.denoiser.sigmas(num_steps, side.latent_shape)
    assert torch.equal(sigmas, side.pipeline.scheduler.sigmas)
    asked = times(side.denoiser.network)
    walk(side.denoiser, side.encoder.student_contexts(["x"]), noise([0], side.latent_shape), num_steps)
    assert asked == seen


def test_training_sigmas_of_a_bucket_are_those_of_the_pipeline_at_that_size(side: Side) -> None:
    for width, height in ((64, 16), (16, 48)):
        prompt = {"prompt": ["x"], "guidance_scale": 0.0, "output_type": "latent", **side.stand.reading}
        side.pipeline(**prompt, width=width, height=height, num_inference_steps=NUM_STEPS)
        (latents,) = side.encoder.latents([Image.new("RGB", (width, height))])
        assert torch.equal(side.denoiser.sigmas(NUM_STEPS, latents.shape), side.pipeline.scheduler.sigmas)


def test_a_picture_equals_the_pipelines_picture(side: Side) -> None:
    contexts = side.encoder.student_contexts(PROMPTS)
    latents = sample(side.denoiser, contexts, [3, 1, 4], latent_shape=side.latent_shape, num_steps=NUM_STEPS)
    theirs = latents if side.stand.is_normalised else side.stand.decodable(side.pipeline.vae, latents)
    assert (theirs - painted(side, PROMPTS, [3, 1, 4], "latent")).abs().max() < 1e-4
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
    latents = sample(side.denoiser, contexts, [0, 1, 2], latent_shape=side.latent_shape, num_steps=NUM_STEPS)
    theirs = painted(side, PROMPTS, [0, 1, 2], "np")
    assert (decoded(side, latents) - theirs).abs().max() < 1e-3
    assert (bare - theirs).abs().max() > 0.02


def test_velocity_is_fp32_and_blind_to_its_neighbours(side: Side) -> None:
    contexts = side.encoder.student_contexts(PROMPTS)
    x = noise([0, 1, 2], side.latent_shape)
    with torch.no_grad():
        together = side.denoiser.velocity(x, torch.tensor(0.75), contexts)
        alone = [side.denoiser.velocity(x[n : n + 1], torch.tensor(0.75), contexts[n : n + 1]) for n in range(3)]
    assert together.dtype == torch.float32
    assert together.shape == x.shape
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_student_contexts_are_the_pipelines(side: Side) -> None:
    captions = list(PROMPTS)
    ours = side.encoder.student_contexts(captions)
    theirs = side.pipeline.encode_prompt(list(PROMPTS), **side.stand.encode)[0]
    assert captions == PROMPTS
    assert all(torch.allclose(a.tokens, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))


def test_a_teacher_without_picture_equals_the_student(side: Side, models: Any) -> None:
    student = side.encoder.student_contexts(PROMPTS)
    for mode in LISTED[side.family.name].teacher_contexts:
        encoder = side.family.load_encoder(side.base, models.vision_language, teacher_context=mode)
        teacher = encoder.teacher_contexts(PROMPTS, [None] * 3)
        assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(student, teacher, strict=True)), mode
        assert not any(context.reference is not None for context in teacher), mode


def test_the_teacher_sees_which_picture_it_is_shown(
    side: Side, models: Any, picture: Callable[[int], Image.Image]
) -> None:
    prompts = [PROMPTS[0]] * 3
    alone = side.encoder.student_contexts(prompts)[0]
    for mode in LISTED[side.family.name].teacher_contexts:
        encoder = side.family.load_encoder(side.base, models.vision_language, teacher_context=mode)
        first, other, again = encoder.teacher_contexts(prompts, [picture(0), picture(1), picture(0)])
        assert torch.equal(first.tokens, again.tokens)
        if mode != "reference":
            assert not torch.allclose(first.tokens, other.tokens)
            assert len(first.tokens) > len(alone.tokens)
        if mode != "vlm":
            assert torch.equal(first.reference, side.encoder.latents([picture(0)])[0])
            assert not torch.allclose(first.reference, other.reference)


def test_a_way_to_show_a_picture_that_the_family_lacks_is_refused(side: Side) -> None:
    name, ways = side.family.name, LISTED[side.family.name].teacher_contexts
    assert teacher_context(name, "auto") == ways[0]
    for mode in {"vlm", "reference", "both"} - set(ways):
        with pytest.raises(ValueError, match=f"teacher_context is '{mode}', which {name} cannot do"):
            teacher_context(name, mode)


def test_rows_with_and_without_a_reference_are_answered_in_their_places(
    side: Side, picture: Callable[[int], Image.Image]
) -> None:
    contexts = side.encoder.teacher_contexts(PROMPTS, [picture(0), None, picture(1)])
    x = noise([0, 1, 2], side.latent_shape)
    with torch.no_grad():
        together = side.denoiser.velocity(x, torch.tensor(0.75), contexts)
        alone = [side.denoiser.velocity(x[n : n + 1], torch.tensor(0.75), contexts[n : n + 1]) for n in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_latents_are_the_pipelines_and_come_back_as_pictures(side: Side, picture: Callable[[int], Image.Image]) -> None:
    images = [picture(n) for n in range(3)]
    latents = side.encoder.latents(images)
    assert latents.shape == (3, *side.latent_shape)
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
    odd = Context(side.encoder.student_contexts(["x"])[0].tokens, reference=torch.zeros(5, 6, 6))
    with pytest.raises(ValueError, match="reference"):
        side.denoiser.velocity(torch.zeros(1, *side.latent_shape), torch.tensor(1.0), [odd])
