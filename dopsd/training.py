"""The training loop: whatever the method, an adapter is made here.

>>> for record in train(denoiser, examples, Training(rank=16, alpha=16), Run(family, base, state=Path("runs/train"))):
...     print(record.step, record.loss)
>>> save_adapter(denoiser.network, Path("data/adapter"), family.pipeline)
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from dopsd.adapter import FILE, Roles, Shape, attach_, continue_
from dopsd.checkpoint import Checkpoint
from dopsd.examples import Example, Examples
from dopsd.family import Denoiser, Family
from dopsd.objective import Scene, objective
from dopsd.recipe import Training


@dataclass(frozen=True)
class Run:
    """Where a training run stands: its family, its base (model@revision), its state folder, its parent's adapter."""

    family: Family
    base: str
    state: Path
    parent: Path | None = None


@dataclass(frozen=True)
class Record:
    """What one iteration did. `gaps` are the velocity disagreements a step; `ema_distance` is relative."""

    step: int
    loss: float
    gaps: tuple[float, ...]
    gradient_norm: float
    learning_rate: float
    ema_distance: float


def train(denoiser: Denoiser, examples: Examples, training: Training, run: Run) -> Iterator[Record]:
    """Tune a LoRA on `denoiser.network`, which wears it as the student afterwards; yield a record an iteration.

    Goes on from the last checkpoint of the same settings and data in `run.state`, if there is one; its iterations are
    not told again. Raises FloatingPointError, and keeps that checkpoint, when loss or gradient stop being finite.
    """
    accelerator = Accelerator(mixed_precision=_precision(training))
    roles, optimizer = _prepared(denoiser, training, run, accelerator)
    method = objective(training.method)(training)
    checkpoint = Checkpoint(run.state, identity(training, run, examples.digest))

    for step in range(checkpoint.restore_(roles, optimizer), training.iterations):
        batch = examples.batch(step, training.batch_size, training.seed)
        scene = _scene(batch, step, training.seed, accelerator.device)
        losses, gaps = [], []
        for term in method.terms(denoiser, roles, scene):
            accelerator.backward(term.loss)
            losses.append(term.loss.item())
            gaps.append(term.gap.item())
        norm = nn.utils.clip_grad_norm_(roles.student.values(), training.max_gradient_norm).item()
        _refuse_nonfinite(step, sum(losses), norm, checkpoint.path)
        optimizer.step()
        optimizer.zero_grad()
        roles.follow_(training.ema_decay)
        if (step + 1) % training.checkpoint_every == 0 or step + 1 == training.iterations:
            checkpoint.save(step + 1, roles, optimizer)
        yield Record(step, sum(losses), tuple(gaps), norm, training.learning_rate, roles.distance())
    accelerator.unwrap_model(denoiser.network, keep_fp32_wrapper=False)


def identity(training: Training, run: Run, examples_digest: str) -> str:
    """Digest everything that decides the weights after n iterations: how long and how often we save does not."""
    recipe = {key: value for key, value in asdict(training).items() if key not in ("iterations", "checkpoint_every")}
    parent = hashlib.sha256((run.parent / FILE).read_bytes()).hexdigest() if run.parent else None
    recipe["precision"] = _precision(training)  # what "auto" means here
    parts = [recipe, run.family.name, run.base, parent, examples_digest]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _prepared(
    denoiser: Denoiser, training: Training, run: Run, accelerator: Accelerator
) -> tuple[Roles, torch.optim.AdamW]:
    """Give the network its LoRA, its device and its precision, and the student its optimizer."""
    shape = Shape(run.family.lora_targets, training.rank, training.alpha)
    if run.parent is None:
        roles = attach_(denoiser.network, shape, teacher=training.teacher, seed=training.seed)
    else:
        roles = continue_(denoiser.network, run.parent, run.family.pipeline, shape=shape, teacher=training.teacher)
    denoiser.network = accelerator.prepare_model(denoiser.network)
    return roles, torch.optim.AdamW(roles.student.values(), lr=training.learning_rate, weight_decay=0.0)


def _precision(training: Training) -> str:
    is_bf16 = training.precision == "bf16" or (training.precision == "auto" and torch.cuda.is_available())
    return "bf16" if is_bf16 else "no"


def _scene(batch: Sequence[Example], step: int, seed: int, device: torch.device) -> Scene:
    """Put a batch on `device`, with the noise of this step; contexts go there when they are read."""
    latents = torch.stack([example.latents for example in batch]).float()
    # Hashed, because torch's CPU generator sees only 32 bits of a seed: neighbours in (seed, step) must not meet.
    entropy = int(np.random.SeedSequence([seed, step]).generate_state(1)[0])
    noise = torch.randn(latents.shape, generator=torch.Generator("cpu").manual_seed(entropy))
    return Scene(
        student=[example.student for example in batch],
        teacher=[example.teacher for example in batch],
        noise=noise.to(device),
        latents=latents.to(device),
    )


def _refuse_nonfinite(step: int, loss: float, gradient_norm: float, kept: Path) -> None:
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        raise FloatingPointError(
            f"iteration {step}: loss {loss}, gradient norm {gradient_norm}. The last good state is kept in {kept}; "
            "lower train.learning_rate, or set train.precision to fp32, and train again"
        )
