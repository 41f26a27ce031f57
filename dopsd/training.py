"""The training loop: whatever the method, and whether an adapter or all weights learn, it happens here.

>>> for record in train(denoiser, examples, Training(rank=16, alpha=16), Run(family, base, state=Path("runs/train"))):
...     print(record.step, record.loss)
>>> save_adapter(denoiser.network, Path("data/adapter"), family.pipeline)
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dopsd.adapter import FILE
from dopsd.adapter_roles import Shape, attach_, continue_
from dopsd.checkpoint import Checkpoint
from dopsd.examples import Example, Examples
from dopsd.family import Denoiser, Family, Network
from dopsd.objective import Needs, Scene, objective
from dopsd.preparation import Shelf, drawn, prepared
from dopsd.recipe import Training
from dopsd.roles import Roles
from dopsd.schedule import ema_decay, learning_rate
from dopsd.whole import attach_whole_


@dataclass(frozen=True)
class Run:
    """Where a training run stands: its family, its base (model@revision), its state folder, its parent's adapter."""

    family: Family
    base: str
    state: Path
    parent: Path | None = None


@dataclass(frozen=True)
class Record:
    """What one iteration did. `gaps` are the terms' velocity gaps by their names; `ema_distance` is relative."""

    step: int
    loss: float
    gaps: Mapping[str, float]
    gradient_norm: float
    learning_rate: float
    ema_distance: float


def train(denoiser: Denoiser, examples: Examples, training: Training, run: Run) -> Iterator[Record]:
    """Tune `denoiser.network`, which speaks as the student afterwards; yield a record an iteration.

    Goes on from the last checkpoint of the same settings and data in `run.state`, if there is one; what was told since
    that checkpoint is told again, the same. Raises FloatingPointError, and keeps that checkpoint, when loss or gradient
    stop being finite.
    """
    accelerator = Accelerator(mixed_precision=_precision(training))
    method = objective(training.method)(training)
    roles, optimizer = _cast(denoiser, training, run, method.needs, accelerator)
    checkpoint = Checkpoint(run.state, identity(training, run, examples.digest))
    shelf = Shelf(checkpoint.path.with_suffix(""), training.num_samples, training.seed)
    kept = prepared(method, denoiser, roles, examples, shelf)

    for step in range(checkpoint.restore_(roles, optimizer), training.iterations):
        batch = examples.batch(step, training.batch_size, training.seed)
        rate = _set_rate_(optimizer, learning_rate(training, step))
        losses, gaps = [], {}
        for term in method.terms(denoiser, roles, _scene(batch, kept, step, training.seed, accelerator.device)):
            accelerator.backward(term.loss)
            losses.append(term.loss.item())
            gaps[term.name] = term.gap.item()
        norm = nn.utils.clip_grad_norm_(roles.student.values(), training.max_gradient_norm).item()
        _refuse_nonfinite(step, sum(losses), norm, checkpoint.path)
        optimizer.step()
        optimizer.zero_grad()
        roles.follow_(ema_decay(training, step))
        # Told first, saved then: a kill in between costs work, and leaves no hole in what was told.
        yield Record(step, sum(losses), gaps, norm, rate, roles.distance())
        if (step + 1) % training.checkpoint_every == 0 or step + 1 == training.iterations:
            checkpoint.save(step + 1, roles, optimizer)
    accelerator.unwrap_model(denoiser.network, keep_fp32_wrapper=False)


def identity(training: Training, run: Run, examples_digest: str) -> str:
    """Digest everything that decides the weights after n iterations: how long and how often we save does not."""
    recipe = {key: value for key, value in asdict(training).items() if key not in ("iterations", "checkpoint_every")}
    parent = hashlib.sha256((run.parent / FILE).read_bytes()).hexdigest() if run.parent else None
    recipe["precision"] = _precision(training)  # what "auto" means here
    parts = [recipe, run.family.name, run.base, parent, examples_digest]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _cast(
    denoiser: Denoiser, training: Training, run: Run, needs: Needs, accelerator: Accelerator
) -> tuple[Roles, torch.optim.AdamW]:
    """Give the network its parts, its device and its precision, and the student its optimizer."""
    roles = _roles(denoiser.network, training, run, needs)
    denoiser.network = accelerator.prepare_model(denoiser.network)
    return roles, torch.optim.AdamW(roles.student.values(), lr=training.learning_rate, weight_decay=0.0)


def _roles(network: Network, training: Training, run: Run, needs: Needs) -> Roles:
    """Choose what learns, and who teaches; a method without a teacher pays for none."""
    teacher = training.teacher if needs.teacher else "copy"
    if training.weights == "full":
        return attach_whole_(network, teacher=teacher, ema_device=training.ema_device, has_base=needs.base)
    targets = training.targets or run.family.lora_targets
    shape = Shape(targets, training.rank, training.alpha, is_dora=training.weights == "dora")
    if run.parent is None:
        return attach_(network, shape, teacher=teacher, seed=training.seed)
    return continue_(network, run.parent, run.family.pipeline, shape=shape, teacher=teacher)


def _set_rate_(optimizer: torch.optim.AdamW, rate: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def _precision(training: Training) -> str:
    is_bf16 = training.precision == "bf16" or (training.precision == "auto" and torch.cuda.is_available())
    return "bf16" if is_bf16 else "no"


def _scene(batch: Sequence[Example], kept: Mapping[str, Tensor], step: int, seed: int, device: torch.device) -> Scene:
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
        plain=[example.plain for example in batch if example.plain is not None],
        kept=drawn(kept, batch, entropy).to(device),
        seed=entropy,
    )


def _refuse_nonfinite(step: int, loss: float, gradient_norm: float, kept: Path) -> None:
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        raise FloatingPointError(
            f"iteration {step}: loss {loss}, gradient norm {gradient_norm}. The last good state is kept in {kept}; "
            "lower train.learning_rate, or set train.precision to fp32, and train again"
        )
