"""What FLUX.2-klein does beside what every family does: three layers, padding, and a branch that edits."""

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from PIL import Image
from torch import Tensor, nn

from dopsd.families.catalogue import family
from dopsd.families.flux2_klein_reading import Reading
from dopsd.family import Context
from dopsd.sampling import sample
from dopsd.weights.targets import spelled

FAMILY = family("flux2-klein")


def test_a_full_size_prompt_is_read_where_and_as_long_as_inference_reads_it() -> None:
    config: Any = SimpleNamespace(config=SimpleNamespace(num_hidden_layers=36))
    tokenizer: Any = SimpleNamespace(model_max_length=131_072)
    reading, call = Reading(config, tokenizer, None), inspect.signature(Flux2KleinPipeline.__call__).parameters
    assert tuple(reading.layers) == call["text_encoder_out_layers"].default
    assert reading.longest == call["max_sequence_length"].default


def test_a_reference_draws_what_the_pipelines_editing_branch_draws(models: Any) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    shown = Image.fromarray(blocks).resize((64, 64), Image.Resampling.BICUBIC)  # the pipeline takes none smaller
    encoder, denoiser = FAMILY.load_encoder(models.klein, models.vision_language), FAMILY.load_denoiser(models.klein)
    contexts = encoder.teacher_contexts(["a [V] star"], [shown])
    ours = sample(denoiser, contexts, [5], latent_shape=(16, 3, 3), num_steps=4)
    pipeline = FAMILY.pipeline.from_pretrained(models.klein)
    pipeline.set_progress_bar_config(disable=True)

    def drawn(**image: Any) -> Tensor:
        """Give the latents before the last normalisation is undone."""
        raw = pipeline(
            prompt="a [V] star", height=24, width=24, num_inference_steps=4, text_encoder_out_layers=(0, 1, 2),
            generator=torch.Generator("cpu").manual_seed(5), output_type="latent", **image,
        ).images  # fmt: skip
        mean, variance = (kept[:, None, None] for kept in (pipeline.vae.bn.running_mean, pipeline.vae.bn.running_var))
        return (pipeline._patchify_latents(raw) - mean) / (variance + pipeline.vae.config.batch_norm_eps).sqrt()

    assert (ours - drawn(image=shown)).abs().max() < 1e-4
    assert (ours - drawn()).abs().max() > 1e-3


def test_training_without_the_even_grid_would_visit_other_states(models: Any) -> None:
    denoiser = FAMILY.load_denoiser(models.klein)
    at_full_size = denoiser.sigmas(4, (128, 64, 64))
    assert torch.allclose(at_full_size, torch.tensor([1, 0.9674, 0.9081, 0.7672, 0]), atol=1e-4)


def test_no_layer_of_any_block_is_left_without_lora(models: Any) -> None:
    network = FAMILY.load_denoiser(models.klein).network
    inner = [key for key, module in network.named_modules() if isinstance(module, nn.Linear) and "_blocks." in key]
    targets = spelled(network, FAMILY.lora_targets)
    assert [key for key in inner if not any(f".{key}".endswith(f".{target}") for target in targets)] == []
    assert len(inner) == 1 * 12 + 2 * 2


def test_a_picture_for_the_vlm_costs_its_own_tokens_and_no_padding(
    models: Any, picture: Callable[[int], Image.Image]
) -> None:
    encoder = FAMILY.load_encoder(models.klein, models.vision_language, teacher_context="both")
    student, teacher = encoder.student_contexts(["star"])[0], encoder.teacher_contexts(["star"], [picture(0)])[0]
    assert len(student.tokens) == 512
    assert len(teacher.tokens) == 512 + 2 * 2 + 2  # 16 px in patches of 4, merged by 2; a sign before and one after


def test_a_reference_may_have_another_size_than_the_noise(models: Any) -> None:
    denoiser = FAMILY.load_denoiser(models.klein)
    tokens, x = torch.randn(7, 96), torch.randn(2, 16, 3, 3)
    contexts = [Context(tokens, torch.randn(16, 2, 5)), Context(tokens, torch.randn(16, 4, 4))]
    with torch.no_grad():
        assert denoiser.velocity(x, torch.tensor(0.5), contexts).shape == x.shape
