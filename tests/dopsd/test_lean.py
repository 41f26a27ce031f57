"""What is left out for the way back is made again: gradients are what they were, and less is held."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.models.normalization import RMSNorm
from torch import nn

from dopsd.bench.meter import metered
from dopsd.bench.models import model
from dopsd.families.catalogue import family
from dopsd.footprint.lean import LeanNorm, lean_
from dopsd.placement import CPU
from dopsd.recipe import Training
from dopsd.weights.adapter_roles import Shape, attach_
from dopsd.weights.roles import Roles
from dopsd.weights.whole import attach_whole_

BF16 = Training(precision="bf16", rank=8, alpha=8)


def walked(name: str, training: Training | None, *, is_bf16: bool = True) -> tuple[torch.Tensor, float]:
    """Walk a LoRA's network back, as it is or lean; give its gradients as one vector, and the bytes that it held."""
    about = model(name)
    network = about.network("tiny", CPU).bfloat16()
    network = network if is_bf16 else network.float()
    roles = attach_(network, Shape(family(about.family).lora_targets, 8, 8), teacher="copy", seed=0)
    for weight in roles.student.values():
        weight.data += 0.02
    if training is not None:
        lean_(network, training)
    (example,) = about.examples("tiny", 80, count=1)
    with metered(network) as cost, torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
        velocity = about.denoiser(network).velocity(example.latents[None], torch.tensor(0.7), [example.student])
        velocity.square().mean().backward()
    return _gradient(roles), cost.held_bytes


def _gradient(roles: Roles) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in roles.student.values() if weight.grad is not None])


@pytest.mark.parametrize(("name", "most"), [("z-image", 0.6), ("flux2-klein-4b", 0.95)])
def test_what_is_made_again_gives_the_same_gradient_and_holds_less(name: str, most: float) -> None:
    exact, _ = walked(name, None, is_bf16=False)
    same, _ = walked(name, BF16, is_bf16=False)
    assert torch.allclose(same, exact, rtol=1e-4, atol=1e-6 * float(exact.abs().max()))
    plain, held = walked(name, None)
    lean, less = walked(name, BF16)
    assert less < most * held
    assert (lean - exact).norm() < 1.1 * (plain - exact).norm()


def test_a_cast_that_is_left_to_autocast_changes_no_bit() -> None:
    plain, held = walked("z-image", None)
    lean, less = walked("z-image", replace(BF16, compile=True))  # norms and gates stay as they are
    assert torch.equal(lean, plain)
    assert less < held


def test_the_kernels_norm_is_the_one_that_diffusers_writes_out() -> None:
    torch.manual_seed(0)
    norm, x = RMSNorm(16, eps=1e-5).requires_grad_(False), torch.randn(3, 16, dtype=torch.float64)
    norm.weight.data = torch.rand(16)
    wanted = norm.double()(x)
    lean_(nn.Sequential(norm), BF16)
    assert type(norm) is LeanNorm
    assert torch.allclose(norm(x), wanted)
    assert torch.autograd.gradcheck(norm, x.requires_grad_())


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"precision": "fp32"}, {"norm": False, "cast": True}),
        ({"checkpointing": "full"}, {"norm": False, "cast": False}),
        ({"compile": True}, {"norm": False, "cast": False}),
        ({"weights": "dora"}, {"norm": True, "cast": True}),
        ({}, {"norm": True, "cast": False}),
    ],
)
def test_what_is_looked_after_by_other_means_stays(change: dict[str, Any], seen: dict[str, bool]) -> None:
    network, targets = model("z-image").network("tiny", CPU), family("z-image").lora_targets
    attach_(network, Shape(targets, 8, 8), teacher="copy", seed=0)
    lean_(network, replace(BF16, **change))
    assert _kinds(network.modules()) == seen


def test_norms_that_learn_are_left_alone() -> None:
    network = model("z-image").network("tiny", CPU)
    attach_whole_(network, teacher="copy", ema_device="network", has_base=False)
    lean_(network, replace(BF16, weights="full"))
    assert not any(isinstance(module, LeanNorm) for module in network.modules())


def _kinds(modules: Sequence[nn.Module]) -> dict[str, bool]:
    found = list(modules)
    casts = {module.cast_input_dtype_enabled for module in found if hasattr(module, "cast_input_dtype_enabled")}
    return {"norm": any(isinstance(module, LeanNorm) for module in found), "cast": casts == {True}}
