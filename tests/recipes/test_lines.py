"""Both families of the recipe are fitted on what they are deployed with."""

import copy
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, Flux2KleinPipeline
from transformers import Qwen3VLForConditionalGeneration

from dopsd.families.catalogue import family
from dopsd.family import Context
from dopsd.weights.adapter import fuse_
from recipes.tiny import dedistillation, distillation, flux2_klein, pool, z_image
from recipes.tiny.autoencoder import pictures
from recipes.tiny.dedistillation import fit_dedistillation
from recipes.tiny.distillation import BATCH, FINE, STEPS, evaluations, fine_grid, fit_student, num_steps, shifted
from recipes.tiny.line import Line, Shared
from recipes.tiny.pictures import as_image
from recipes.tiny.shipment import ship_adapter, ship_pipeline
from recipes.tiny.vision_language import chat

SHAPES = {"z-image": (8, 10, 10), "flux2-klein": (32, 5, 5)}
MODELS = Path("models")


@pytest.fixture(params=[z_image.LINE, flux2_klein.LINE], ids=lambda line: line.family)
def line(request: pytest.FixtureRequest) -> Line:
    return request.param


@pytest.fixture(scope="module")
def shared() -> Shared:
    """Load the shipped models that every line is fitted on."""
    vae = AutoencoderKL.from_pretrained(MODELS / "tiny-z-image" / "vae").float().eval()
    vlm = Qwen3VLForConditionalGeneration.from_pretrained(MODELS / "tiny-qwen3-vl", dtype=torch.float32)
    return Shared(vae, vlm.eval())


@pytest.fixture(scope="module")
def autoencoder(shared: Shared) -> AutoencoderKLFlux2:
    """Measure the statistics once."""
    return flux2_klein.autoencoder(shared.vae)


def test_a_line_is_distilled_on_the_steps_it_is_deployed_with(line: Line) -> None:
    deployed = line.around(line.transformer()).sigmas(STEPS, SHAPES[line.family])
    assert torch.allclose(shifted(torch.linspace(1, 0, STEPS + 1), line.shift), deployed, atol=1e-6)


def test_the_parents_fine_steps_lie_within_the_deployed_ones(line: Line) -> None:
    grids = [fine_grid(index, line.shift) for index in range(STEPS)]
    assert all(len(grid) == FINE + 1 for grid in grids)
    assert all(torch.equal(one[-1], other[0]) for one, other in pairwise(grids))


class Counted:
    """A denoiser of one weight that counts the rows it is asked for, and those it learns from."""

    def __init__(self, network: torch.nn.Linear) -> None:
        self.network, self.asked, self.learnt = network, 0, 0

    def velocity(self, x: torch.Tensor, sigma: torch.Tensor, contexts: Sequence[Context]) -> torch.Tensor:
        self.asked += len(x)
        self.learnt += len(x) * torch.is_grad_enabled()
        return x * self.network.weight


class CountedLine:
    """A line whose denoisers count, and whose pool holds scenes without words."""

    shift, latents = 3.0, torch.zeros(64, 1, 1, 1)

    def __init__(self) -> None:
        self.made: list[Counted] = []

    def around(self, network: torch.nn.Linear) -> Counted:
        self.made.append(Counted(network))
        return self.made[-1]

    def contexts(self, rows: Sequence[int], *, with_image: Sequence[bool]) -> list[Context]:
        return []


def test_the_evaluations_of_a_distillation_are_those_that_it_makes(tmp_path: Path) -> None:
    line, size = CountedLine(), 0.1
    fit_student(tmp_path, line, torch.nn.Linear(1, 1, bias=False), line, size=size)  # type: ignore[arg-type]
    counted = evaluations(size=size)
    assert sum(one.learnt for one in line.made) == counted.backward
    walked = sum(one.asked for one in line.made) - counted.prepared - counted.forward
    assert abs(walked) <= num_steps(size)[1] * BATCH // 2 * 1.5  # where students walk to is drawn


def test_flux_has_the_shared_autoencoder_and_latents_of_unit_variance(
    shared: Shared, autoencoder: AutoencoderKLFlux2
) -> None:
    vae, images = autoencoder, pictures(Random(3), 32)
    with torch.no_grad():
        ours, theirs = vae.encode(images).latent_dist.mode(), shared.vae.encode(images).latent_dist.mode()
        assert torch.equal(ours, theirs)
        assert torch.equal(vae.decode(ours).sample, shared.vae.decode(theirs).sample)
    latents = flux2_klein._encoded(vae, (images + 1) / 2)
    assert latents.shape == (32, *SHAPES["flux2-klein"])
    assert latents.mean().abs() < 0.1
    assert 0.8 < latents.std() < 1.2


def test_flux_is_fitted_on_the_contexts_that_it_is_deployed_with(
    shared: Shared, autoencoder: AutoencoderKLFlux2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_SHARD", 10)
    line, vae = flux2_klein.LINE, autoencoder
    rows = line.pool(tmp_path, vae, shared.vlm, rows=10)
    ship_pipeline(tmp_path / line.name, line, line.transformer(), vae, shared.vlm, is_distilled=True)
    base, vlm, said = tmp_path / line.name, MODELS / "tiny-qwen3-vl", pool.shard(0)
    encoders = {way: family(line.family).load_encoder(base, vlm, teacher_context=way) for way in ("vlm", "both")}
    for row, way in ((0, "both"), (6, "vlm"), (8, "both")):
        fitted = rows.contexts([row, row], with_image=[False, True])
        alone = encoders[way].student_contexts([said[row].words])[0]
        assert torch.allclose(fitted[0].tokens, alone.tokens, atol=0.02)  # shipped in fp16
        shown = as_image(rows.shown[row].float() / 255)
        seen = encoders[way].teacher_contexts([said[row].placeholder], [shown])[0]
        if fitted[1].reference is not None:
            assert torch.allclose(fitted[1].reference, seen.reference, atol=0.1)  # and from 8 bits
        if row != 0:
            assert torch.allclose(fitted[1].tokens, seen.tokens, atol=0.02)
    pipeline = Flux2KleinPipeline.from_pretrained(base)
    assert pipeline.config.is_distilled
    assert len(alone.tokens) == pipeline.tokenizer.model_max_length


def test_everything_the_world_says_can_be_read_whole() -> None:
    tokens = flux2_klein.klein_tokenizer()
    texts = [text for row in pool.shard(0)[:500] for text in (row.words, row.placeholder)]
    assert max(len(tokens(chat(text, shows_image=False)).input_ids) for text in texts) <= tokens.model_max_length


def test_a_dedistillation_adapter_is_fitted_and_shipped_as_the_method_reads_it(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_SHARD", 10)
    monkeypatch.setattr(distillation, "CHUNK", 4)
    monkeypatch.setattr(dedistillation, "CHUNK", 4)
    line, student = z_image.LINE, z_image.transformer()
    rows = line.pool(tmp_path, shared.vae, shared.vlm, rows=10)
    fitted = fit_dedistillation(tmp_path, line, student, rows, size=0.01, batch=4)
    ship_adapter(tmp_path / "adapter", line, fitted)
    fused = copy.deepcopy(student)
    fuse_(fused, tmp_path / "adapter", family(line.family).pipeline)
    x, contexts = torch.randn(2, *SHAPES["z-image"]), rows.contexts([0, 1], with_image=[False, False])
    sigma = torch.full((2,), 0.5)
    with torch.no_grad():
        worn, merged, bare = (line.around(one).velocity(x, sigma, contexts) for one in (fitted, fused, student))
    assert torch.allclose(worn, merged, atol=1e-5)
    assert not torch.allclose(worn, bare, atol=1e-5)
