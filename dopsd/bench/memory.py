"""What a training would take in memory, before anything is loaded: what lasts, and what a walk back needs besides.

    python -m dopsd.bench memory --family z-image --size full --side 1024

As on a GPU: frozen weights in bf16, arithmetic as `precision` says. The training's own objective is walked by tensors
that have shapes and number formats, and no numbers.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dopsd.bench.imagined import Imagined
from dopsd.bench.live import Memory
from dopsd.bench.models import Model, SizeName, like, model
from dopsd.bench.train import Question
from dopsd.blocks import blocks
from dopsd.dataset.examples import Examples
from dopsd.families.catalogue import family
from dopsd.family import Denoiser, Network
from dopsd.footprint.checkpointing import checkpoint_
from dopsd.footprint.lean import lean_
from dopsd.footprint.plan import Part, lasting
from dopsd.footprint.resting import is_resting, rest_
from dopsd.objective import Objective, Scene, objective
from dopsd.placement import CPU, Placement
from dopsd.recipe import Training
from dopsd.weights.adapter_roles import Shape, attach_
from dopsd.weights.roles import Roles
from dopsd.weights.whole import attach_whole_

_GPU = Placement(torch.device("meta"), torch.bfloat16)


def explained(about: Model, size: SizeName, examples: Examples, training: Training) -> list[Part]:
    """List the parts; `examples` are as many as are walked back from at a time."""
    network = about.network(size, _GPU)
    roles = _roles(network, training, family(about.family).lora_targets)
    lean_(network, training if training.precision == "fp32" else replace(training, precision="bf16"))
    checkpoint_(network, training.checkpointing)
    rest_(network, training, CPU.device)  # where imagined weights are
    sizes = {name: weight.nbytes for name, weight in network.named_parameters() if not weight.requires_grad}
    resting = sum(size for name, size in sizes.items() if is_resting(name))
    learning = sum(weight.numel() for weight in roles.student.values())
    frozen = sum(sizes.values()) - resting
    parts = lasting(training, frozen_bytes=frozen, learning=learning, resting_bytes=resting)
    back = walked(about.denoiser(network), roles, examples, training)
    # A whole teacher on the host comes to the device while it speaks; its graph is never there at the same time.
    lent = max((part.num_bytes for part in parts if part.is_on_host and training.weights == "full"), default=0)
    step = Part(f"for a step and its way back, {len(examples)} at a time", max(back, lent))
    return [*parts, *gathered(network, training), step]


def gathered(network: Network, training: Training) -> list[Part]:
    """Say what FSDP2 gathers at a time of weights that are divided: what is in no block, a block, and the next.

    On the way back there are the gradients of the first two besides, until they are added up.
    """
    if not training.sharded or training.processes == 1:
        return []
    sizes = [sum(weight.numel() for weight in block.parameters()) for block in blocks(network)]
    outside = sum(weight.numel() for weight in network.parameters()) - sum(sizes)
    return [Part("weights and gradients of blocks, gathered", 4 * (2 * outside + 3 * max(sizes)))]


def of_base(base: Path, name: str, training: Training, *, entries: Path | None, side_px: int) -> list[Part]:
    """List the parts for a base of the family `name`, at the largest of its entries; without, at pictures of `side_px`.

    Raises FileNotFoundError or ValueError where the base has no configuration that is known here, or no entry is there.
    """
    about = like(base, name)
    count = -(-training.batch_size // (training.processes * training.accumulate))
    found = Examples.read(entries) if entries else about.examples("full", side_px, count=1)
    largest = max(found, key=lambda row: (row.latents.numel(), len(row.teacher.tokens)))
    return explained(about, "full", Examples((largest,) * count, "largest"), training)


def answer(question: Question) -> dict[str, Any]:
    """Answer as a JSON object with a row a part, for each method and batch.

    Raises ValueError for the naive form, whose one graph is no training of ours.
    """
    if "naive" in question.methods:
        raise ValueError("--methods naive: memory is told of training as it is here; choose some of dopsd, sft")
    about, rows = model(question.family), []
    for batch, method in product(question.batches, question.methods):
        training = question.training(method, batch)
        parts = explained(about, question.size, about.examples(question.size, question.side_px, batch), training)
        rows += [{"method": method, "batch": batch, **vars(part)} for part in parts]
    return {"question": vars(question), "device": "on paper", "dtype": "bfloat16", "rows": rows}


def walked(denoiser: Denoiser, roles: Roles, examples: Examples, training: Training) -> int:
    """Walk back from one state by imagined tensors; give the most bytes that lived at a time, gradients left out."""
    memory = Memory()
    imagined = Imagined(denoiser, memory)
    for weight in imagined.network.parameters():
        if weight.requires_grad:
            weight.register_post_accumulate_grad_hook(_forget)
    one = replace(training, num_steps=1, num_states=0, step_weights=(), processes=1, accumulate=1)
    method = objective(training.method)(one)
    with torch.autocast("cpu", torch.bfloat16, enabled=training.precision != "fp32"):
        for term in method.terms(imagined, roles, _scene(method, imagined, roles, examples)):
            with imagined.imagining():
                term.loss.backward()
    return memory.most_bytes


def _scene(method: Objective, denoiser: Denoiser, roles: Roles, examples: Examples) -> Scene:
    """Put examples into one batch; of what a method prepares, the shape is all that counts."""
    rows = [replace(row, plain=row.plain or row.student) for row in examples]
    latents = torch.stack([row.latents for row in rows]).float()
    made = method.prepare(denoiser, roles, rows[0], [0])
    kept = torch.empty(0) if made is None else torch.zeros(len(rows), *made.shape[1:])
    contexts = ([row.student for row in rows], [row.teacher for row in rows])
    return Scene(*contexts, torch.randn_like(latents), latents, [row.student for row in rows], kept)


def _roles(network: Network, training: Training, targets: tuple[str, ...]) -> Roles:
    """Let the student learn; a copy speaks as long as any teacher, and needs no weights."""
    if training.weights == "full":
        return attach_whole_(network, teacher="copy", ema_device="network", has_base=True)
    shape = Shape(training.targets or targets, training.rank, training.alpha, is_dora=training.weights == "dora")
    return attach_(network, shape, teacher="copy", seed=0)


def _forget(weight: nn.Parameter) -> None:
    weight.grad = None
