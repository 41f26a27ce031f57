"""The method: on-policy states, one backward a step, gradient for the student alone."""

import pytest
import torch

from dopsd.dataset.examples import Examples
from dopsd.families.catalogue import family
from dopsd.family import Denoiser
from dopsd.methods.distillation import Distillation
from dopsd.objective import Scene, objective
from dopsd.recipe import Training
from dopsd.sampling import walk
from dopsd.weights.adapter_roles import AdapterRoles as Cast
from dopsd.weights.adapter_roles import Shape, attach_

GOLDEN = {
    ("x0", (0.10, 0.20, 0.30, 0.40)): 0.033896401058882475,
    ("velocity", ()): 0.06484858505427837,
}


@pytest.fixture
def roles(denoiser: Denoiser) -> Cast:
    """Give the network a student and an EMA teacher that differ already."""
    made = attach_(denoiser.network, Shape(family("z-image").lora_targets, 4, 4), teacher="ema", seed=0)
    shift_(made.student, 1)
    return made


@pytest.fixture
def scene(examples: Examples) -> Scene:
    """Make a batch of three."""
    batch = examples.rows[:3]
    rng = torch.Generator().manual_seed(5)
    return Scene(
        [row.student for row in batch],
        [row.teacher for row in batch],
        torch.randn((3, 4, 6, 6), generator=rng),
        torch.stack([row.latents for row in batch]),
    )


def shift_(weights: dict[str, torch.nn.Parameter], seed: int) -> None:
    """Move weights somewhere, the same for the same seed."""
    rng = torch.Generator().manual_seed(seed)
    for weight in weights.values():
        weight.data += torch.randn(weight.shape, generator=rng) * 0.1


def gradients(roles: Cast) -> torch.Tensor:
    """Collect the student's gradient as one vector, and clear it."""
    found = torch.cat([weight.grad.flatten() for weight in roles.student.values() if weight.grad is not None])
    roles.network.zero_grad()
    return found


def test_stepwise_backward_equals_the_joint_one(denoiser: Denoiser, roles: Cast, scene: Scene) -> None:
    method = Distillation(Training(step_weights=(4, 3, 2, 1)))
    for term in method.terms(denoiser, roles, scene):
        term.loss.backward()
    stepwise = gradients(roles)
    torch.stack([term.loss for term in method.terms(denoiser, roles, scene)]).sum().backward()
    joint = gradients(roles)
    assert torch.allclose(stepwise, joint, rtol=1e-5, atol=1e-8)
    assert joint.abs().max() > 0


def test_training_visits_exactly_the_states_of_inference(denoiser: Denoiser, roles: Cast, scene: Scene) -> None:
    seen: list[torch.Tensor] = []
    hook = denoiser.network.register_forward_pre_hook(lambda _, inputs: seen.append(torch.stack(inputs[0]).detach()))
    list(Distillation(Training()).terms(denoiser, roles, scene))
    taught, learned = seen[0::2], seen[1::2]
    seen.clear()
    walk(denoiser, scene.student, scene.noise, 4)
    hook.remove()
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(learned, taught, seen, strict=True))


def test_the_student_adapter_alone_receives_gradient(denoiser: Denoiser, roles: Cast, scene: Scene) -> None:
    for term in Distillation(Training()).terms(denoiser, roles, scene):
        term.loss.backward()
    receiving = {name for name, weight in denoiser.network.named_parameters() if weight.grad is not None}
    assert receiving == {name for name, _ in denoiser.network.named_parameters() if ".student." in name}


def test_an_image_that_says_nothing_teaches_nothing(denoiser: Denoiser, scene: Scene) -> None:
    roles = attach_(denoiser.network, Shape(family("z-image").lora_targets, 4, 4), teacher="ema", seed=0)
    blind = Scene(scene.student, scene.student, scene.noise, scene.latents)
    assert [term.loss.item() for term in Distillation(Training()).terms(denoiser, roles, blind)] == [0.0] * 4


def test_a_frozen_teacher_is_the_bare_base(denoiser: Denoiser, scene: Scene) -> None:
    sigma = torch.tensor(0.9)
    with torch.no_grad():
        bare = denoiser.velocity(scene.noise, sigma, scene.teacher)
    roles = attach_(denoiser.network, Shape(family("z-image").lora_targets, 4, 4), teacher="frozen", seed=0)
    shift_(roles.student, 3)
    with roles.as_teacher():
        assert torch.equal(denoiser.velocity(scene.noise, sigma, scene.teacher), bare)
    with torch.no_grad():
        assert not torch.equal(denoiser.velocity(scene.noise, sigma, scene.teacher), bare)


def test_x0_loss_is_sigma_squared_times_the_velocity_loss(denoiser: Denoiser, roles: Cast, scene: Scene) -> None:
    x0, velocity = (
        [term.loss.item() for term in Distillation(Training(loss=loss)).terms(denoiser, roles, scene)]
        for loss in ("x0", "velocity")
    )
    sigmas = denoiser.sigmas(4, (4, 6, 6))[:-1].tolist()
    assert x0 == pytest.approx([sigma**2 * loss for sigma, loss in zip(sigmas, velocity, strict=True)], rel=1e-6)


def test_step_weights_are_relative(denoiser: Denoiser, roles: Cast, scene: Scene) -> None:
    plain, alike, first = (
        [term.loss.item() for term in Distillation(Training(step_weights=weights)).terms(denoiser, roles, scene)]
        for weights in ((), (2, 2, 2, 2), (8, 0, 0, 0))
    )
    assert plain == alike
    assert first == pytest.approx([4 * plain[0], 0, 0, 0])


@pytest.mark.parametrize(("loss", "weights"), GOLDEN)
def test_golden_losses(denoiser: Denoiser, roles: Cast, scene: Scene, loss: str, weights: tuple[float, ...]) -> None:
    training = Training(loss=loss, step_weights=weights)  # type: ignore[arg-type]
    total = sum(term.loss.item() for term in Distillation(training).terms(denoiser, roles, scene))
    # Processors round sums in different orders; anything beyond that is a change of the method.
    assert total == pytest.approx(GOLDEN[loss, weights], rel=1e-5)


def test_a_method_nobody_wrote_is_refused() -> None:
    with pytest.raises(ValueError, match="choose one of dopsd"):
        objective("magic")
