"""The iteration as the released code has it, for the side by side: batches encoded again, one graph of all K states."""

from collections.abc import Callable, Iterator, Sequence

import torch
from accelerate import Accelerator
from torch import nn

from dopsd.dataset.examples import Examples
from dopsd.family import Denoiser, Family
from dopsd.objective import Scene, objective
from dopsd.placement import Placement
from dopsd.recipe import Training
from dopsd.weights.adapter_roles import Shape, attach_


def joint_iterations(
    denoiser: Denoiser,
    examples: Examples,
    training: Training,
    family: Family,
    placement: Placement,
    *,
    encode: Sequence[Callable[[], object]],
) -> Iterator[None]:
    """Train by D-OPSD without end, and stop after each iteration; the gradient is the one of `dopsd.training`.

    What `encode` makes at the beginning of each takes its time and its memory; learnt is from `examples`.
    """
    is_bf16 = placement.dtype == torch.bfloat16
    accelerator = Accelerator(mixed_precision="bf16" if is_bf16 else "no")
    shape = Shape(family.lora_targets, training.rank, training.alpha)
    roles = attach_(denoiser.network, shape, teacher=training.teacher, seed=training.seed)
    denoiser.network = accelerator.prepare_model(denoiser.network)
    optimizer = torch.optim.AdamW(roles.student.values(), lr=training.learning_rate, weight_decay=0.0)
    method, step = objective("dopsd")(training), 0
    while True:
        for work in encode:
            work()
        batch = examples.batch(step, training.batch_size, training.seed)
        latents = torch.stack([example.latents for example in batch]).to(placement.device)
        student, teacher = [example.student for example in batch], [example.teacher for example in batch]
        scene = Scene(student, teacher, torch.randn_like(latents), latents, seed=step)
        losses = [term.loss for term in method.terms(denoiser, roles, scene)]
        accelerator.backward(torch.stack(losses).sum())
        nn.utils.clip_grad_norm_(roles.student.values(), training.max_gradient_norm)
        optimizer.step()
        optimizer.zero_grad()
        roles.follow_(training.ema_decay)
        step += 1
        yield
