"""Who wears the network, and how adapters are kept."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dopsd.families.catalogue import family
from dopsd.family import Denoiser
from dopsd.placement import Placement
from dopsd.weights.adapter import load_adapter_, save_adapter, wearing
from dopsd.weights.adapter_roles import AdapterRoles, Shape, attach_, continue_
from dopsd.weights.trained import FILE

FAMILY = family("z-image")
SHAPE = Shape(FAMILY.lora_targets, rank=4, alpha=8)


@pytest.fixture
def roles(denoiser: Denoiser) -> AdapterRoles:
    """Give the network a student that has moved away from its EMA teacher."""
    made = attach_(denoiser.network, SHAPE, teacher="ema", seed=0)
    for weight in made.student.values():
        weight.data += 0.1
    return made


def flat(weights: dict[str, torch.nn.Parameter]) -> torch.Tensor:
    """Lay weights out as one vector."""
    return torch.cat([weight.detach().flatten() for weight in weights.values()])


def test_decay_0_makes_the_teacher_the_student(roles: AdapterRoles) -> None:
    roles.follow_(0.0)
    assert torch.equal(flat(roles.teacher), flat(roles.student))
    assert roles.distance() == 0


def test_decay_1_leaves_the_teacher_where_it_was(roles: AdapterRoles) -> None:
    before = flat(roles.teacher)
    roles.follow_(1.0)
    assert torch.equal(flat(roles.teacher), before)


def test_the_teacher_covers_a_share_of_the_way_that_bf16_would_lose(roles: AdapterRoles) -> None:
    begin, end = flat(roles.teacher), flat(roles.student)
    for _ in range(1000):
        roles.follow_(0.9999)
    covered = ((flat(roles.teacher) - begin) / (end - begin)).mean().item()
    assert covered == pytest.approx(1 - 0.9999**1000, rel=1e-2)


def test_a_new_adapter_changes_nothing_and_depends_on_its_seed_alone(denoiser: Denoiser, models: Any) -> None:
    other = FAMILY.load_denoiser(models.base)
    torch.manual_seed(1)
    first = attach_(denoiser.network, SHAPE, teacher="ema", seed=7)
    torch.manual_seed(2)
    second = attach_(other.network, SHAPE, teacher="frozen", seed=7)
    assert torch.equal(flat(first.student), flat(second.student))
    assert all((weight == 0).all() for name, weight in first.student.items() if "lora_B" in name)
    assert second.teacher == {}


def test_masters_are_fp32_on_a_bf16_network(models: Any) -> None:
    network = FAMILY.load_denoiser(models.base, Placement(torch.device("cpu"), torch.bfloat16)).network
    roles = attach_(network, SHAPE, teacher="ema", seed=0)
    assert network.dtype == torch.bfloat16
    assert {weight.dtype for weight in (*roles.student.values(), *roles.teacher.values())} == {torch.float32}


def test_leaving_the_teacher_restores_the_student_and_its_gradient(roles: AdapterRoles) -> None:
    with roles.as_teacher():
        assert not torch.is_grad_enabled()
        assert not any(weight.requires_grad for weight in roles.student.values())
    assert all(weight.requires_grad for weight in roles.student.values())
    trainable = [name for name, weight in roles.network.named_parameters() if weight.requires_grad]
    assert len(trainable) == len(roles.student)


def test_what_was_worn_is_restored_after_an_error(roles: AdapterRoles) -> None:
    with pytest.raises(KeyError), wearing(roles.network, None):
        raise KeyError
    assert all(weight.requires_grad for weight in roles.student.values())


def test_a_target_that_matches_nothing_is_named(denoiser: Denoiser) -> None:
    with pytest.raises(ValueError, match=r"'feed_forward\.w9' matches no module"):
        attach_(denoiser.network, Shape(("attention.to_q", "feed_forward.w9"), 4, 4), teacher="ema", seed=0)


def test_an_adapter_nobody_loaded_is_named(denoiser: Denoiser) -> None:
    with pytest.raises(ValueError, match="no adapter 'champion'"), wearing(denoiser.network, "champion"):
        pass


def test_saving_and_loading_is_a_round_trip(roles: AdapterRoles, models: Any, tmp_path: Path) -> None:
    save_adapter(roles.network, tmp_path / "one", FAMILY.pipeline)
    other = FAMILY.load_denoiser(models.base).network
    again = continue_(other, tmp_path / "one", FAMILY.pipeline, shape=SHAPE, teacher="ema")
    assert torch.equal(flat(again.student), flat(roles.student))
    assert torch.equal(flat(again.teacher), flat(roles.student))
    save_adapter(other, tmp_path / "two", FAMILY.pipeline)
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


def test_a_parent_of_another_shape_is_refused(roles: AdapterRoles, models: Any, tmp_path: Path) -> None:
    save_adapter(roles.network, tmp_path, FAMILY.pipeline)
    other = FAMILY.load_denoiser(models.base).network
    with pytest.raises(ValueError, match=r"set train.rank"):
        continue_(other, tmp_path, FAMILY.pipeline, shape=Shape(SHAPE.targets, 8, 8), teacher="ema")


def test_two_saved_adapters_take_turns_on_one_network(roles: AdapterRoles, models: Any, tmp_path: Path) -> None:
    save_adapter(roles.network, tmp_path, FAMILY.pipeline)
    network = FAMILY.load_denoiser(models.base).network
    load_adapter_(network, tmp_path, FAMILY.pipeline, name="parent")
    load_adapter_(network, tmp_path, FAMILY.pipeline, name="adapter")
    layer = network.layers[0].attention.to_q
    with wearing(network, "parent"):
        assert layer.active_adapters == ["parent"]
        with wearing(network, None):
            assert layer.disable_adapters
        assert layer.active_adapters == ["parent"]
    assert layer.active_adapters == ["adapter"]


def test_a_missing_or_damaged_adapter_is_named(denoiser: Denoiser, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no pytorch_lora_weights"):
        load_adapter_(denoiser.network, tmp_path, FAMILY.pipeline, name="x")
    (tmp_path / FILE).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="damaged"):
        load_adapter_(denoiser.network, tmp_path, FAMILY.pipeline, name="x")
