"""What is trained: a LoRA, a DoRA, or all weights; each goes on as if never stopped, and fits a fresh pipeline."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from diffusers import ZImagePipeline, ZImageTransformer2DModel

from dopsd.dataset.examples import Examples
from dopsd.families.catalogue import family
from dopsd.family import Context, Denoiser
from dopsd.objective import Scene, objective
from dopsd.placement import Placement
from dopsd.recipe import Method, Training
from dopsd.run import Run
from dopsd.sampling import noise, walk
from dopsd.training import train
from dopsd.weights.adapter import fuse_, load_adapter_, save_adapter, wearing
from dopsd.weights.adapter_roles import Shape, attach_, continue_
from dopsd.weights.whole import WholeRoles, attach_whole_, save_whole, transplant_

FAMILY = family("z-image")
TINY = Training(
    rank=4, alpha=4, iterations=4, batch_size=2, learning_rate=1e-3, precision="fp32", checkpoint_every=2, num_samples=1
)
TEACHERS = ("ema", "frozen", "copy")


@pytest.fixture
def worded(examples: Examples) -> Examples:
    """Give every example a caption in plain words."""
    return replace(examples, rows=tuple(replace(row, plain=Context(row.student.tokens[1:])) for row in examples))


def flat(weights: Any) -> torch.Tensor:
    """Lay weights out as one vector."""
    return torch.cat([weight.detach().flatten() for weight in weights.values()])


def shift_(weights: Any) -> None:
    """Move weights somewhere, the same every time."""
    rng = torch.Generator().manual_seed(3)
    for weight in weights.values():
        weight.data += torch.randn(weight.shape, generator=rng) * 0.05


def answer(denoiser: Denoiser, examples: Examples) -> torch.Tensor:
    """Let the network walk from one noise."""
    return walk(denoiser, [examples.rows[0].student], noise([1], (4, 6, 6)), 4).latents


@pytest.mark.parametrize("method", get_args(Method))
def test_every_method_trains_all_weights(models: Any, worded: Examples, run: Run, method: Method) -> None:
    denoiser = run.family.load_denoiser(models.base)
    before = flat(dict(denoiser.network.named_parameters()))
    list(train(denoiser, worded, replace(TINY, method=method, weights="full", iterations=2), run))
    share = (flat(dict(denoiser.network.named_parameters())) != before).float().mean()
    assert share > 0.9


@pytest.mark.parametrize("weights", ["dora", "full"])
def test_resuming_equals_never_stopping(
    models: Any, examples: Examples, run: Run, tmp_path: Path, weights: Any
) -> None:
    training = replace(TINY, weights=weights, ema_warmup=3, learning_rate_warmup=3)

    def trained(runs: Sequence[int], state: Path) -> torch.Tensor:
        """Train to each of `runs` in turn, on a fresh network every time."""
        for iterations in runs:
            denoiser = run.family.load_denoiser(models.base)
            list(train(denoiser, examples, replace(training, iterations=iterations), replace(run, state=state)))
        return flat(dict(denoiser.network.named_parameters()))

    assert torch.equal(trained([2, 4], tmp_path / "twice"), trained([4], tmp_path / "once"))


def test_a_dora_fits_a_fresh_pipeline(models: Any, examples: Examples, run: Run, tmp_path: Path) -> None:
    denoiser = run.family.load_denoiser(models.base)
    list(train(denoiser, examples, replace(TINY, weights="dora"), run))
    assert any("lora_magnitude_vector.student" in name for name, _ in denoiser.network.named_parameters())
    wanted = answer(denoiser, examples)
    save_adapter(denoiser.network, tmp_path, FAMILY.pipeline)
    pipeline = ZImagePipeline.from_pretrained(models.base)
    pipeline.load_lora_weights(tmp_path)
    fresh = run.family.load_denoiser(models.base)
    bare = answer(fresh, examples)
    fresh.network = pipeline.transformer
    assert torch.allclose(answer(fresh, examples), wanted, atol=1e-5)
    assert not torch.allclose(bare, wanted, atol=1e-3)


def test_a_dora_begins_as_the_base_and_is_no_lora(models: Any, denoiser: Denoiser, examples: Examples) -> None:
    bare = answer(denoiser, examples)
    shape = Shape(FAMILY.lora_targets, 4, 4, is_dora=True)
    roles = attach_(denoiser.network, shape, teacher="ema", seed=0)
    assert torch.allclose(answer(denoiser, examples), bare, atol=1e-5)
    assert torch.equal(flat(roles.teacher), flat(roles.student))


def test_a_lora_does_not_go_on_from_a_dora(models: Any, denoiser: Denoiser, tmp_path: Path) -> None:
    shape = Shape(FAMILY.lora_targets, 4, 4, is_dora=True)
    attach_(denoiser.network, shape, teacher="copy", seed=0)
    save_adapter(denoiser.network, tmp_path, FAMILY.pipeline)
    other = FAMILY.load_denoiser(models.base).network
    with pytest.raises(ValueError, match=r"rank 4 and alpha 4 \(DoRA\), train asks for rank 4 and alpha 4"):
        continue_(other, tmp_path, FAMILY.pipeline, shape=replace(shape, is_dora=False), teacher="ema")


def test_targets_of_ones_own_are_the_only_ones(denoiser: Denoiser, examples: Examples, run: Run) -> None:
    list(train(denoiser, examples, replace(TINY, targets=("attention.to_q",), iterations=1), run))
    touched = {name.split(".lora_")[0] for name, _ in denoiser.network.named_parameters() if ".lora_" in name}
    assert touched
    assert all(name.endswith("attention.to_q") for name in touched)


def test_a_whole_network_fits_a_fresh_pipeline(models: Any, examples: Examples, run: Run, tmp_path: Path) -> None:
    denoiser = run.family.load_denoiser(models.base)
    list(train(denoiser, examples, replace(TINY, weights="full"), run))
    wanted = answer(denoiser, examples)
    one, two = (save_whole(denoiser.network, tmp_path / name) for name in ("one", "two"))
    assert [path.read_bytes() for path in sorted(one.iterdir())] == [
        path.read_bytes() for path in sorted(two.iterdir())
    ]
    network = ZImageTransformer2DModel.from_pretrained(one)
    pipeline = ZImagePipeline.from_pretrained(models.base, transformer=network)
    fresh = run.family.load_denoiser(models.base)
    fresh.network = pipeline.transformer
    assert torch.equal(answer(fresh, examples), wanted)


def test_a_whole_network_where_an_adapter_is_needed_is_told(denoiser: Denoiser, tmp_path: Path) -> None:
    save_whole(denoiser.network, tmp_path)
    with pytest.raises(ValueError, match=r"holds a whole network \(train\.weights: full\)"):
        load_adapter_(denoiser.network, tmp_path, FAMILY.pipeline, name="adapter")


@pytest.mark.parametrize("device", ["network", "cpu"])
def test_the_parts_of_a_whole_network_speak_with_their_own_weights(
    denoiser: Denoiser, examples: Examples, device: str
) -> None:
    began = answer(denoiser, examples)
    roles = attach_whole_(denoiser.network, teacher="ema", ema_device=device, has_base=True)
    shift_(roles.student)
    student = answer(denoiser, examples)
    roles.follow_(0.5)
    with roles.as_base():
        assert torch.equal(answer(denoiser, examples), began)
        assert not torch.is_grad_enabled()
    with roles.as_teacher():
        taught = answer(denoiser, examples)
    assert not torch.equal(taught, began)
    assert not torch.equal(taught, student)
    assert torch.equal(answer(denoiser, examples), student)
    assert all(weight.requires_grad for weight in denoiser.network.parameters())


@pytest.mark.parametrize("teacher", TEACHERS)
def test_a_whole_teacher_is_who_it_should_be(denoiser: Denoiser, examples: Examples, teacher: Any) -> None:
    roles = attach_whole_(denoiser.network, teacher=teacher, ema_device="network", has_base=False)
    began = flat(roles.student)
    shift_(roles.student)
    moved = flat(roles.student)
    roles.follow_(0.25)
    wanted = {"ema": 0.25 * began + 0.75 * moved, "frozen": began, "copy": moved}[teacher]
    with roles.as_teacher():
        assert torch.allclose(flat(dict(denoiser.network.named_parameters())), wanted, atol=1e-6)
    assert torch.equal(flat(roles.student), moved)
    assert (roles.distance() > 0) == (teacher == "ema")


def test_stepwise_backward_equals_the_joint_one_with_all_weights(denoiser: Denoiser, worded: Examples) -> None:
    roles = attach_whole_(denoiser.network, teacher="ema", ema_device="network", has_base=False)
    shift_(roles.student)
    method, scene = objective("dopsd")(Training()), _scene(worded)
    for term in method.terms(denoiser, roles, scene):
        term.loss.backward()
    stepwise = _gradient(roles)
    torch.stack([term.loss for term in method.terms(denoiser, roles, scene)]).sum().backward()
    assert torch.allclose(stepwise, _gradient(roles), rtol=1e-4, atol=1e-7)


def _scene(examples: Examples) -> Scene:
    batch = examples.rows[:2]
    contexts = [row.student for row in batch], [row.teacher for row in batch]
    return Scene(*contexts, noise([1, 2], (4, 6, 6)), torch.stack([row.latents for row in batch]))


def _gradient(roles: WholeRoles) -> torch.Tensor:
    found = torch.cat([weight.grad.flatten() for weight in roles.student.values() if weight.grad is not None])
    roles.network.zero_grad()
    return found


def test_all_masters_are_fp32_on_a_bf16_network(models: Any) -> None:
    network = FAMILY.load_denoiser(models.base, Placement(torch.device("cpu"), torch.bfloat16)).network
    roles = attach_whole_(network, teacher="ema", ema_device="cpu", has_base=True)
    parts = (roles.student, roles.teacher, roles.base)
    assert {weight.dtype for part in parts for weight in part.values()} == {torch.float32}


def test_what_was_learnt_goes_onto_another_network(models: Any) -> None:
    began, onto, trained = (FAMILY.load_denoiser(models.base).network for _ in range(3))
    shift_(dict(onto.named_parameters()))
    for weight in trained.parameters():
        weight.data += 0.5
    transplant_(trained, began=began, onto=onto)
    wanted = flat(dict(onto.named_parameters())) + 0.5
    assert torch.allclose(flat(dict(trained.named_parameters())), wanted, atol=1e-6)


def test_an_adapter_that_is_fused_acts_as_if_worn_and_leaves_room(
    models: Any, denoiser: Denoiser, examples: Examples, tmp_path: Path
) -> None:
    bare = answer(denoiser, examples)
    roles = attach_(denoiser.network, Shape(FAMILY.lora_targets, 4, 4), teacher="copy", seed=0)
    shift_(roles.student)
    worn = answer(denoiser, examples)
    save_adapter(denoiser.network, tmp_path, FAMILY.pipeline)
    other = FAMILY.load_denoiser(models.base)
    fuse_(other.network, tmp_path, FAMILY.pipeline)
    assert torch.allclose(answer(other, examples), worn, atol=1e-4)
    assert not torch.allclose(worn, bare, atol=1e-2)
    names = {name for name, _ in FAMILY.load_denoiser(models.base).network.named_parameters()}
    assert {name for name, _ in other.network.named_parameters()} == names
    attach_(other.network, Shape(FAMILY.lora_targets, 4, 4), teacher="ema", seed=0)
    with wearing(other.network, None):
        assert torch.allclose(answer(other, examples), worn, atol=1e-4)


def test_all_weights_do_not_start_from_an_adapter() -> None:
    with pytest.raises(ValueError, match="parent is 'v3' and weights is full"):
        Training(weights="full", parent="v3")
