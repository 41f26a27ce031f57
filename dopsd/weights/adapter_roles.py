"""The parts of one network, told apart by adapters: the student learns one, the "ema" teacher wears another.

>>> roles = attach_(denoiser.network, Shape(family.lora_targets, rank=64, alpha=128), teacher="ema", seed=0)
>>> with roles.as_teacher():
...     opinion = denoiser.velocity(x, sigma, contexts)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig
from torch import Tensor, nn

from dopsd.family import Network, Pipeline
from dopsd.recipe import Teacher
from dopsd.weights.adapter import STUDENT, beside_others, load_adapter_, put_on_, wearing
from dopsd.weights.targets import spelled

TEACHER = "teacher"


@dataclass(frozen=True)
class Shape:
    """Where a LoRA goes (suffixes of module names) and how large it is; its output is scaled by alpha / rank.

    A DoRA (arXiv:2402.09353) learns the length of each weight row beside its direction.
    """

    targets: Sequence[str]
    rank: int
    alpha: int
    is_dora: bool = False


@dataclass(frozen=True)
class AdapterRoles:
    """One network whose parts are adapters: fp32 weights of the student, and of the teacher where it is "ema".

    `speaker` is the adapter that the teacher wears; None is the bare base.
    """

    network: Network
    student: dict[str, nn.Parameter]
    teacher: dict[str, nn.Parameter]
    speaker: str | None

    @contextmanager
    def as_teacher(self) -> Iterator[None]:
        """Let the network speak as the teacher, without gradient; then the student wears it again, trainable."""
        with wearing(self.network, self.speaker), torch.no_grad():
            yield

    @contextmanager
    def as_base(self) -> Iterator[None]:
        """Let the network speak bare, without gradient; a parent's adapter is not part of it."""
        with wearing(self.network, None), torch.no_grad():
            yield

    @torch.no_grad()
    def follow_(self, decay: float) -> None:
        """Move the teacher towards the student in fp32: teacher = decay * teacher + (1 - decay) * student."""
        if self.teacher:
            torch._foreach_lerp_(list(self.teacher.values()), list(self.student.values()), 1 - decay)

    @torch.no_grad()
    def distance(self) -> float:
        """Measure how far the student is ahead of the EMA teacher, relative to its own length; 0 for a frozen one."""
        if not self.teacher:
            return 0.0
        student = [weight.detach() for weight in self.student.values()]
        apart = torch._foreach_sub(student, list(self.teacher.values()))
        return (_length(list(apart)) / _length(student)).item()


def attach_(network: Network, shape: Shape, *, teacher: Teacher, seed: int) -> AdapterRoles:
    """Put a new LoRA on `network` (A gaussian from `seed`, B zero: it changes nothing yet) and give out the parts.

    Raises ValueError naming a target that matches no module.
    """
    config = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        target_modules=spelled(network, shape.targets),
        init_lora_weights="gaussian",
        use_dora=shape.is_dora,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network.add_adapter(config, STUDENT)
    return _parts(network, teacher=teacher)


def continue_(network: Network, folder: Path, pipeline: Pipeline, *, shape: Shape, teacher: Teacher) -> AdapterRoles:
    """Start the student from a saved adapter instead; raises ValueError where that adapter has another shape."""
    load_adapter_(network, folder, pipeline, name=STUDENT)
    config = network.peft_config[STUDENT]
    if (config.r, config.lora_alpha, config.use_dora) != (shape.rank, shape.alpha, shape.is_dora):
        raise ValueError(
            f"the parent adapter {folder} has {_said(config.r, config.lora_alpha, is_dora=config.use_dora)}, train "
            f"asks for {_said(shape.rank, shape.alpha, is_dora=shape.is_dora)}: set train.rank, train.alpha and "
            "train.weights to the parent's"
        )
    return _parts(network, teacher=teacher)


def _said(rank: int, alpha: int, *, is_dora: bool) -> str:
    return f"rank {rank} and alpha {alpha}{' (DoRA)' if is_dora else ''}"


def _parts(network: Network, *, teacher: Teacher) -> AdapterRoles:
    """Give out the parts of a network that wears a student: fp32 masters, and for "ema" a teacher that starts equal."""
    student = _weights(network, STUDENT)
    copied: dict[str, nn.Parameter] = {}
    if teacher == "ema":
        with beside_others():
            network.add_adapter(network.peft_config[STUDENT], TEACHER)
        copied = _weights(network, TEACHER)
        for key, weight in student.items():
            copied[key].data.copy_(weight.data)
    put_on_(network, STUDENT)
    speakers = {"ema": TEACHER, "frozen": None, "copy": STUDENT}
    return AdapterRoles(network, student, copied, speakers[teacher])


def _weights(network: Network, name: str) -> dict[str, nn.Parameter]:
    """Find the LoRA weights of adapter `name` by their names without it, as fp32 masters."""
    mark = f".{name}."
    found = {key.replace(mark, "."): weight for key, weight in network.named_parameters() if mark in key}
    for weight in found.values():
        weight.data = weight.data.float()
    return found


def _length(tensors: list[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
