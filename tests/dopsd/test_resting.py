"""Frozen weights at rest: on the host nothing changes, in eight bits little does, and few are whole at a time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from dopsd.bench.live import Memory
from dopsd.dataset.examples import Examples
from dopsd.family import Denoiser
from dopsd.footprint.checkpointing import checkpoint_
from dopsd.footprint.resting import Rest, is_resting, rest_
from dopsd.placement import CPU
from dopsd.recipe import Training
from dopsd.run import Run, identity
from dopsd.training import Record, train
from dopsd.weights.adapter import save_adapter
from dopsd.weights.adapter_roles import Shape, attach_

PLAIN = Training(
    rank=4, alpha=4, iterations=2, num_steps=1, batch_size=1, learning_rate=1e-3, precision="fp32", sample_every=0,
    checkpointing="full",
)  # fmt: skip
ON_HOST = replace(PLAIN, base_device="cpu")
IN_EIGHT_BITS = replace(PLAIN, base_storage="int8")


def learnt(models: Any, examples: Examples, training: Training, run: Run) -> tuple[Sequence[Record], bytes]:
    """Train to the end; return what was told and the bytes of the adapter."""
    denoiser = run.family.load_denoiser(models.base)
    run = replace(run, state=run.state / f"{training.base_device}-{training.base_storage}-{training.weights}")
    records = list(train(denoiser, examples, training, run))
    return records, save_adapter(denoiser.network, run.state / "adapter", run.family.pipeline).read_bytes()


@pytest.mark.parametrize("weights", ["lora", "dora"])
def test_a_base_on_the_host_changes_no_bit_and_eight_bits_change_little(
    models: Any, examples: Examples, run: Run, weights: Any
) -> None:
    records, adapter = learnt(models, examples, replace(PLAIN, weights=weights), run)
    assert learnt(models, examples, replace(ON_HOST, weights=weights), run) == (records, adapter)
    near, other = learnt(models, examples, replace(IN_EIGHT_BITS, weights=weights), run)
    assert other != adapter
    assert [record.loss for record in near] == pytest.approx([record.loss for record in records], rel=0.05)


def test_a_state_goes_on_wherever_the_base_lies_and_not_on_another_base(examples: Examples, run: Run) -> None:
    plain = identity(PLAIN, run, examples.digest)
    assert identity(ON_HOST, run, examples.digest) == plain
    assert plain.differences(identity(IN_EIGHT_BITS, run, examples.digest).said) == [
        "train.base_storage is 'int8' there and None here"
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_eight_bits_are_off_by_half_a_step_of_their_row_at_most(dtype: torch.dtype) -> None:
    rows = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    weight = (rows * torch.tensor([[1e-3], [1], [9], [50], [0]])).to(dtype)
    rest = Rest(IN_EIGHT_BITS, dtype, CPU.device)
    whole = rest(*rest.right_inverse(weight))
    assert whole.dtype == dtype
    rounded = torch.finfo(dtype).eps * weight.abs()  # of the number format itself
    assert ((whole - weight).abs() <= weight.abs().amax(1, keepdim=True) / 254 * 1.001 + rounded).all()
    assert not whole[4].any()


def test_all_matrices_of_the_blocks_rest_and_no_adapter_does(denoiser: Denoiser, run: Run) -> None:
    network = denoiser.network
    roles = attach_(network, Shape(run.family.lora_targets, 4, 4), teacher="ema", seed=0)
    before = {name: weight.nbytes for name, weight in network.named_parameters()}
    rest_(network, IN_EIGHT_BITS, CPU.device)
    after = dict(network.named_parameters())
    lying = {name: weight for name, weight in after.items() if is_resting(name)}
    blocks = [module for module in network.modules() if type(module).__name__ == "ZImageTransformerBlock"]
    linear = [name for block in blocks for name, part in block.named_modules() if isinstance(part, nn.Linear)]
    assert len(lying) == 2 * sum("lora_" not in name for name in linear)
    assert {weight.dtype for weight in lying.values()} == {torch.int8, torch.float32}
    assert set(after) - set(lying) < set(before)
    assert network.dtype == torch.float32
    assert {id(weight) for weight in roles.teacher.values()} < {id(weight) for weight in after.values()}


def test_no_more_than_a_block_is_whole_at_a_time(models: Any, examples: Examples, run: Run) -> None:
    row, most = examples.rows[0], {}
    for training in (PLAIN, ON_HOST):
        denoiser = run.family.load_denoiser(models.base)
        attach_(denoiser.network, Shape(run.family.lora_targets, 4, 4), teacher="copy", seed=0)
        checkpoint_(denoiser.network, training.checkpointing)
        blocks = [list(block.parameters()) for block in denoiser.network.layers]
        rest_(denoiser.network, training, CPU.device)
        with Memory() as living:
            denoiser.velocity(row.latents[None], torch.tensor(0.5), [row.student]).sum().backward()
        most[training.base_device] = living.most_bytes
    one = max(sum(weight.nbytes for weight in block) for block in blocks)
    assert most["network"] < most["cpu"] <= most["network"] + one
