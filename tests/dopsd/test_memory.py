"""What a training takes in memory: foretold, as it is, and less of it for the same gradients."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from dopsd.bench import memory
from dopsd.bench.__main__ import main
from dopsd.bench.live import Memory
from dopsd.bench.memory import of_base
from dopsd.bench.models import like, model
from dopsd.dataset.examples import Examples, save_example
from dopsd.families.catalogue import family
from dopsd.family import Denoiser
from dopsd.footprint.checkpointing import checkpoint_
from dopsd.footprint.plan import Part, lasting, table
from dopsd.footprint.resting import is_resting, rest_
from dopsd.objective import Scene, objective
from dopsd.placement import CPU, Placement
from dopsd.recipe import Checkpointing, Training
from dopsd.weights.adapter_roles import Shape, attach_
from dopsd.weights.roles import Roles
from dopsd.weights.whole import attach_whole_

FAMILY = family("z-image")
TINY = Training(rank=4, alpha=4, batch_size=2, num_steps=1, precision="fp32", sample_every=0, iterations=1)


def walked_back(denoiser: Denoiser, roles: Roles, examples: Examples, training: Training) -> int:
    """Walk back from one state; give the most bytes that lived meanwhile."""
    rows = examples.rows[: training.batch_size]
    latents = torch.stack([row.latents for row in rows])
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    scene = Scene([row.student for row in rows], [row.teacher for row in rows], noise, latents)
    with Memory() as living:
        for term in objective(training.method)(training).terms(denoiser, roles, scene):
            term.loss.backward()
    return living.most_bytes


def count(tensor: Tensor) -> int:
    """Count the numbers in a tensor."""
    return tensor.numel()


def test_what_is_kept_changes_memory_and_no_bit_of_a_gradient() -> None:
    about = model("z-image")
    examples, gradients, most = about.examples("tiny", 80, count=1), {}, {}
    for checkpointing in get_args(Checkpointing):
        network = about.network("tiny", CPU)
        checkpoint_(network, checkpointing)
        roles = attach_(network, Shape(FAMILY.lora_targets, 4, 4), teacher="copy", seed=0)
        for weight in roles.student.values():
            weight.data += 0.05
        most[checkpointing] = walked_back(about.denoiser(network), roles, examples, TINY)
        gradients[checkpointing] = torch.cat([weight.grad.flatten() for weight in roles.student.values()])
    assert gradients["none"].norm() > 0
    assert torch.equal(gradients["selective"], gradients["none"])
    assert torch.equal(gradients["full"], gradients["none"])
    assert most["full"] < 0.5 * most["none"]
    assert most["full"] < most["selective"] < 0.8 * most["none"]


@pytest.mark.parametrize("weights", ["lora", "full"])
def test_what_is_foretold_to_last_is_what_lies_there_after_a_step(
    denoiser: Denoiser, examples: Examples, weights: Any
) -> None:
    network, training = denoiser.network, replace(TINY, weights=weights, ema_device="cpu")
    if weights == "full":
        roles: Roles = attach_whole_(network, teacher="ema", ema_device="cpu", has_base=False)
    else:
        roles = attach_(network, Shape(FAMILY.lora_targets, 4, 4), teacher="ema", seed=0)
    optimizer = torch.optim.AdamW(roles.student.values())
    walked_back(denoiser, roles, examples, training)
    optimizer.step()
    own = list(roles.student.values())
    worn = {id(weight) for weight in [*own, *roles.teacher.values()]}
    lies = {
        "frozen weights": [weight for weight in network.parameters() if id(weight) not in worn],
        "what learns, fp32": own,
        "its gradients, fp32": [weight.grad for weight in own if weight.grad is not None],
        "AdamW's two moments, fp32": [
            optimizer.state[weight][key] for weight in own for key in optimizer.state[weight]
        ],
        "EMA teacher, fp32": list(roles.teacher.values()),
    }
    frozen, learning = (sum(map(count, lies[name])) for name in ("frozen weights", "what learns, fp32"))
    foretold = lasting(training, frozen_bytes=4 * frozen, learning=learning)
    assert {part.name for part in foretold} == {name for name, tensors in lies.items() if tensors}
    for part in foretold:  # no loss need reach the tokens that pad; AdamW counts its steps, too
        assert part.num_bytes == pytest.approx(sum(tensor.nbytes for tensor in lies[part.name]), rel=0.01)
        assert part.is_on_host == (weights == "full" and part.name == "EMA teacher, fp32")
    assert [line.split()[0] for line in table(foretold).splitlines()[-2:]].count("together") == 1 + (weights == "full")


def test_what_a_walk_back_would_take_is_what_it_takes(models: Any, examples: Examples, tmp_path: Path) -> None:
    save_example(examples.rows[-1], tmp_path / "largest.safetensors")
    training = replace(TINY, checkpointing="full", base_storage="int8", base_device="cpu")
    *parts, foretold = of_base(models.base, "z-image", training, entries=tmp_path, side_px=0)
    denoiser = FAMILY.load_denoiser(models.base, Placement(torch.device("cpu"), torch.bfloat16))
    roles = attach_(denoiser.network, Shape(FAMILY.lora_targets, 4, 4), teacher="copy", seed=0)
    checkpoint_(denoiser.network, "full")
    rest_(denoiser.network, training, CPU.device)
    for weight in roles.student.values():
        weight.register_post_accumulate_grad_hook(lambda weight: setattr(weight, "grad", None))
    took = walked_back(denoiser, roles, replace(examples, rows=examples.rows[-1:] * 2), training)
    assert foretold.num_bytes == pytest.approx(took, rel=0.05)
    assert foretold.name == "for a step and its way back, 2 at a time"
    lying = [weight.nbytes for name, weight in denoiser.network.named_parameters() if is_resting(name)]
    assert [part.num_bytes for part in parts if part.is_on_host] == [sum(lying)]


def test_a_base_without_a_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="name a folder in the layout of the hub"):
        of_base(tmp_path, "z-image", TINY, entries=tmp_path, side_px=64)


@pytest.mark.parametrize(
    ("base", "name", "latents"), [("base", "z-image", (4, 6, 6)), ("klein", "flux2-klein", (16, 3, 3))]
)
def test_where_nothing_is_embedded_a_picture_is_imagined_as_the_bases_autoencoder_would_encode_it(
    models: Any, base: str, name: str, latents: tuple[int, ...]
) -> None:
    about = like(getattr(models, base), name)
    assert about.latent_shape("full", 24) == latents
    with pytest.raises(ValueError, match="a picture of 28 pixels a side: give a multiple of 8"):
        about.latent_shape("full", 28)
    *_, foretold = of_base(getattr(models, base), name, TINY, entries=None, side_px=24)
    assert foretold.num_bytes > 0


def test_entries_that_are_not_there_are_not_imagined(models: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere holds no \*.safetensors"):
        of_base(models.base, "z-image", TINY, entries=tmp_path / "nowhere", side_px=64)


def test_the_published_sizes_are_told_part_by_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(memory, "explained", lambda *about: asked.append(about) or [Part("frozen weights", 7)])
    command = "memory --family flux2-klein-4b --size tiny --side 32 --batch 1,2 --set weights=full --json"
    assert main(command.split()) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["batch"], row["name"], row["num_bytes"]) for row in rows] == [(n, "frozen weights", 7) for n in (1, 2)]
    assert [(len(examples), training.weights) for _, _, examples, training in asked] == [(1, "full"), (2, "full")]
    assert main(command.replace("--set weights=full", "--methods naive").split()) == 1
    assert "choose some of dopsd, sft" in capsys.readouterr().err
