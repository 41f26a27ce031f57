"""The training loop: whatever the method, and whether an adapter or all weights learn, it happens here.

>>> for record in train(denoiser, examples, Training(rank=16, alpha=16), Run(family, base, state=Path("runs/train"))):
...     print(record.step, record.loss)
>>> save_adapter(denoiser.network, Path("data/adapter"), family.pipeline)
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from dopsd import looks
from dopsd.checkpoints.checkpoint import Checkpoint
from dopsd.dataset.examples import Examples
from dopsd.family import Denoiser, Network
from dopsd.footprint.checkpointing import checkpoint_
from dopsd.footprint.compiling import compile_
from dopsd.footprint.lean import lean_
from dopsd.footprint.parts import InParts
from dopsd.footprint.resting import rest_, settle_
from dopsd.guard import Guard
from dopsd.objective import Needs, Scene, Term, objective
from dopsd.placement import CPU, fastest, sent
from dopsd.preparation import Shelf, drawn, prepared
from dopsd.processes import ranks
from dopsd.processes.sharding import gathered, is_sharded
from dopsd.processes.termination import Terminated, postponed
from dopsd.recipe import Training
from dopsd.run import Run, identity, precision
from dopsd.schedule import ema_decay, learning_rate
from dopsd.weights.adapter_roles import Shape, attach_, continue_
from dopsd.weights.roles import Roles
from dopsd.weights.whole import attach_whole_


@dataclass(frozen=True)
class Record:
    """What one iteration did. `gaps` are the terms' velocity gaps by their names; `ema_distance` is relative.

    `strayed` is what the guard found, where a check was due; `look` what student and teacher draw, where one was.
    """

    step: int
    loss: float
    gaps: Mapping[str, float]
    gradient_norm: float
    learning_rate: float
    ema_distance: float
    strayed: Mapping[str, float] = field(default_factory=dict)
    look: looks.Look | None = field(default=None, compare=False)


def train(denoiser: Denoiser, examples: Examples, training: Training, run: Run) -> Iterator[Record]:
    """Tune `denoiser.network`, which speaks as the student afterwards; yield a record an iteration.

    Goes on from the last checkpoint of the same settings and data in `run.state`, if there is one; what was told since
    that checkpoint is told again, the same. Raises FloatingPointError, and keeps that checkpoint, when loss or gradient
    stop being finite; Terminated, and saves the iteration at hand, when the process is asked to end. Of several
    processes each learns from its rows of a batch, and all yield the same.
    """
    accelerator = Accelerator(mixed_precision=precision(training), cpu=fastest() == CPU)
    method = InParts(objective(training.method)(training), training.accumulate)
    roles, optimizer = _cast(denoiser, training, run, method.needs, accelerator)
    checkpoint = Checkpoint(run.state, identity(training, run, examples.digest), training.checkpoints_kept)
    kept = prepared(method, denoiser, roles, examples, Shelf.of(checkpoint.folder, training))
    guard = Guard.of(denoiser, examples, training)
    standing = checkpoint.begin_(roles, optimizer, training)
    scenes = (_scene(examples, kept, training, step, accelerator.device) for step in count(standing.position))
    scene = next(scenes)

    with postponed() as is_asked_to_end:
        while not standing.is_over(training):
            step = standing.position
            rate = _set_rate_(optimizer, learning_rate(training, step))
            walked = _walked_back(method.terms(denoiser, roles, scene), accelerator)
            scene = next(scenes)  # goes to a GPU while that is still at work
            loss, gaps = ranks.add_up_(roles.student, *_summed(walked))
            norm = nn.utils.clip_grad_norm_(roles.student.values(), training.max_gradient_norm).item()
            _refuse_nonfinite(step, loss, norm, checkpoint)
            optimizer.step()
            optimizer.zero_grad()
            roles.follow_(ema_decay(training, step))
            strayed = ranks.agreed(guard.strayed(denoiser, step + 1))
            look = looks.taken(denoiser, roles, examples, training, step)
            # Told first, saved then: a kill in between costs work, and leaves no hole in what was told.
            yield Record(step, loss, gaps, norm, rate, roles.distance(), strayed, look)
            standing, is_ending = standing.after(strayed), ranks.any_of(is_asked_to_end())
            if standing.is_saved(training) or is_ending:
                checkpoint.save(standing, roles, optimizer)
            if is_ending:
                raise Terminated
    if standing.is_stopped(training):
        checkpoint.restore_(roles, optimizer, standing.good)
    accelerator.unwrap_model(denoiser.network, keep_fp32_wrapper=False)
    if is_sharded(roles.student):
        denoiser.network = gathered(denoiser.network)


def _walked_back(terms: Iterable[Term], accelerator: Accelerator) -> list[Term]:
    """Walk back from every term before the next is asked for; a GPU is not waited for."""
    walked = []
    for term in terms:
        accelerator.backward(term.loss)
        walked.append(replace(term, loss=term.loss.detach()))
    return walked


def _summed(terms: Sequence[Term]) -> tuple[float, dict[str, float]]:
    """Add losses up, and gaps by their names."""
    gaps = dict[str, float]()
    for term in terms:
        gaps[term.name] = gaps.get(term.name, 0.0) + term.gap.item()
    return sum(term.loss.item() for term in terms), gaps


def _cast(
    denoiser: Denoiser, training: Training, run: Run, needs: Needs, accelerator: Accelerator
) -> tuple[Roles, torch.optim.AdamW]:
    """Give the network its parts, its device and its precision, and the student its optimizer."""
    roles = _roles(denoiser.network, training, run, needs)
    lean_(denoiser.network, training)
    checkpoint_(denoiser.network, training.checkpointing)
    rest_(denoiser.network, training, accelerator.device)
    settle_(denoiser.network, training, accelerator.device)
    if training.compile:
        compile_(denoiser.network)
    # "evaluation" leaves torch's wrapper for many processes out: `ranks` adds up once for all terms of an iteration.
    denoiser.network = accelerator.prepare_model(denoiser.network, device_placement=False, evaluation_mode=True)
    return roles, torch.optim.AdamW(roles.student.values(), lr=training.learning_rate, weight_decay=0.0)


def _roles(network: Network, training: Training, run: Run, needs: Needs) -> Roles:
    """Choose what learns, and who teaches; a method without a teacher pays for none."""
    teacher = training.teacher if needs.teacher else "copy"
    if training.weights == "full":
        is_divided = training.sharded and ranks.world_size() > 1
        return attach_whole_(
            network, teacher=teacher, ema_device=training.ema_device, has_base=needs.base, is_divided=is_divided
        )
    targets = training.targets or run.family.lora_targets
    shape = Shape(targets, training.rank, training.alpha, is_dora=training.weights == "dora")
    if run.parent is None:
        return attach_(network, shape, teacher=teacher, seed=training.seed)
    return continue_(network, run.parent, run.family.pipeline, shape=shape, teacher=teacher)


def _set_rate_(optimizer: torch.optim.AdamW, rate: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def _scene(
    examples: Examples, kept: Mapping[str, Tensor], training: Training, step: int, device: torch.device
) -> Scene:
    """Send the batch of a step to `device`, with the noise of this step."""
    batch = examples.batch(step, training.batch_size, training.seed)
    latents = torch.stack([example.latents for example in batch]).float()
    # Hashed, because torch's CPU generator sees only 32 bits of a seed: neighbours in (seed, step) must not meet.
    entropy = int(np.random.SeedSequence([training.seed, step]).generate_state(1)[0])
    noise = torch.randn(latents.shape, generator=torch.Generator("cpu").manual_seed(entropy))
    return Scene(
        student=[example.student.sent(device) for example in batch],
        teacher=[example.teacher.sent(device) for example in batch],
        noise=sent(noise, device),
        latents=sent(latents, device),
        plain=[example.plain.sent(device) for example in batch if example.plain is not None],
        kept=sent(drawn(kept, batch, entropy), device),
        seed=entropy,
    )


def _refuse_nonfinite(step: int, loss: float, gradient_norm: float, checkpoint: Checkpoint) -> None:
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        raise FloatingPointError(
            f"iteration {step}: loss {loss}, gradient norm {gradient_norm}. The last good state is kept in "
            f"{checkpoint.folder} (after {checkpoint.standing().position} iterations); "
            "lower train.learning_rate, or set train.precision to fp32, and train again"
        )
