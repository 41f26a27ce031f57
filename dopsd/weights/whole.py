"""Full fine-tuning: all weights of the network learn, and the other parts lend it theirs while they speak.

>>> roles = attach_whole_(denoiser.network, teacher="ema", ema_device="cpu", has_base=False)
>>> save_whole(denoiser.network, Path("data/adapter"))  # a transformer that a fresh pipeline can take
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dopsd.family import Network
from dopsd.pretrained import load_network
from dopsd.processes import ranks
from dopsd.processes.sharding import exchanged, is_sharded, own, shard_
from dopsd.recipe import Teacher
from dopsd.tensor_file import settle_
from dopsd.weights.trained import FOLDER


@dataclass(frozen=True)
class WholeRoles:
    """One network whose parts are sets of weights: fp32 masters that learn, an fp32 EMA of them, those it began with.

    `teacher` and `base` are empty where nobody asks for them: each is as large as the network. Where the masters are
    divided among processes, each has its own rows of all of them.
    """

    network: Network
    student: dict[str, nn.Parameter]
    teacher: dict[str, Tensor]
    base: dict[str, Tensor]
    is_frozen: bool

    @contextmanager
    def as_teacher(self) -> Iterator[None]:
        """Let the network speak with the teacher's weights, without gradient; then with the student's again."""
        with _lent(self.student, self.base if self.is_frozen else self.teacher), torch.no_grad():
            yield

    @contextmanager
    def as_base(self) -> Iterator[None]:
        """Let the network speak with the weights it began with, without gradient."""
        assert self.base, "the weights of the beginning were not kept"
        with _lent(self.student, self.base), torch.no_grad():
            yield

    @torch.no_grad()
    def follow_(self, decay: float) -> None:
        """Move the teacher towards the student in fp32, where the teacher lies."""
        for key, weight in self.teacher.items():
            weight.lerp_(own(self.student[key]).to(weight.device), 1 - decay)

    @torch.no_grad()
    def distance(self) -> float:
        """Measure how far the student is ahead of the EMA teacher, relative to its own length; 0 without one."""
        if not self.teacher:
            return 0.0
        apart = [(own(self.student[key]).to(weight.device) - weight).norm() for key, weight in self.teacher.items()]
        length = [own(weight).norm() for weight in self.student.values()]
        squares = [torch.stack(norms).norm().square().item() for norms in (apart, length)]
        ahead, whole = ranks.sums(squares) if is_sharded(self.student) else squares
        return math.sqrt(ahead / whole)


def attach_whole_(
    network: Network, *, teacher: Teacher, ema_device: str, has_base: bool, is_divided: bool = False
) -> WholeRoles:
    """Turn `network` into fp32 masters that learn, and give out the parts.

    `ema_device` is "network" (beside it) or "cpu" (its memory is saved, the way there and back takes time);
    `has_base` keeps the weights of the beginning, for a "frozen" teacher they are kept anyway. `is_divided` divides all
    of it among the processes.
    """
    network.requires_grad_(requires_grad=True)
    if is_divided:
        shard_(network)
    else:
        network.float()
    student = dict(network.named_parameters())
    place = torch.device("cpu") if ema_device == "cpu" else next(iter(student.values())).device
    ema = _copied(student, place) if teacher == "ema" else {}
    base = _copied(student, place) if has_base or teacher == "frozen" else {}
    return WholeRoles(network, student, ema, base, is_frozen=teacher == "frozen")


def save_whole(network: Network, folder: Path) -> Path:
    """Write all weights in the layout of diffusers, fp32, to `folder`/transformer, for `from_pretrained` to read."""
    place = folder / FOLDER
    network.save_pretrained(place, safe_serialization=True)
    for path in place.glob("*.safetensors"):
        settle_(path)
    return place


def read_whole(network: Network, folder: Path) -> dict[str, Tensor]:
    """Read what `save_whole` wrote, in the dtype of `network`; raises FileNotFoundError naming what is missing."""
    saved = load_network(type(network), folder, FOLDER, torch_dtype=network.dtype)
    return dict(saved.named_parameters())


@contextmanager
def lent(network: Network, whole: Mapping[str, Tensor]) -> Iterator[None]:
    """Let `network` speak with all the weights of another one of its shape; then it has its own again."""
    with _lent(dict(network.named_parameters()), whole):
        yield


@torch.no_grad()
def transplant_(network: Network, *, began: Network, onto: Network) -> None:
    """Put what `network` learnt since it `began` onto another network of the same shape: onto + (network - began).

    All in fp32, on the CPU; `network` becomes the sum. Raises ValueError where the shapes differ.
    """
    before, target = dict(began.named_parameters()), dict(onto.named_parameters())
    for key, weight in network.named_parameters():
        if key not in target or target[key].shape != weight.shape:
            raise ValueError(f"{key} has another shape in the deployed base: what was learnt cannot be put onto it")
        learnt = weight.detach().float().cpu() - before[key].float().cpu()
        weight.copy_(target[key].float().cpu() + learnt)


@contextmanager
def _lent(student: Mapping[str, nn.Parameter], others: Mapping[str, Tensor]) -> Iterator[None]:
    """Let the parameters hold the values of `others`; the student's own are set aside, and come back untouched."""
    if is_sharded(student):
        with exchanged(student, others):
            yield
        return
    before = {key: student[key].data for key in others}
    for key, weight in others.items():
        student[key].data = weight.to(student[key].device)
    try:
        yield
    finally:
        for key, weight in before.items():
            student[key].data = weight


def _copied(student: Mapping[str, nn.Parameter], place: torch.device) -> dict[str, Tensor]:
    return {key: own(weight).to(place, copy=True) for key, weight in student.items()}
