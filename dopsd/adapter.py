"""LoRA on a network, and who wears it: the student learns, the teacher follows slowly, the base wears nothing.

>>> roles = attach_(denoiser.network, Shape(targets=family.lora_targets, rank=64, alpha=128), teacher="ema", seed=0)
>>> with roles.as_teacher():
...     opinion = denoiser.velocity(x, sigma, contexts)
>>> save_adapter(denoiser.network, Path("data/adapter"), family.pipeline)
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from peft import LoraConfig, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from torch import Tensor, nn

from dopsd.family import Network, Pipeline
from dopsd.tensor_file import settle_

FILE = "pytorch_lora_weights.safetensors"
STUDENT, TEACHER = "student", "teacher"


@dataclass(frozen=True)
class Shape:
    """Where a LoRA goes (suffixes of module names) and how large it is; its output is scaled by alpha / rank."""

    targets: Sequence[str]
    rank: int
    alpha: int


@dataclass(frozen=True)
class Roles:
    """One network in two parts: its fp32 student weights, and the teacher's (empty: the teacher is the bare base)."""

    network: Network
    student: dict[str, nn.Parameter]
    teacher: dict[str, nn.Parameter]

    @contextmanager
    def as_teacher(self) -> Iterator[None]:
        """Let the network speak as the teacher, without gradient; then the student wears it again, trainable."""
        with wearing(self.network, TEACHER if self.teacher else None), torch.no_grad():
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


def attach_(network: Network, shape: Shape, *, teacher: Literal["ema", "frozen"], seed: int) -> Roles:
    """Put a new LoRA on `network` (A gaussian from `seed`, B zero: it changes nothing yet) and give out the parts.

    Raises ValueError naming a target that matches no module.
    """
    _check_targets(network, shape.targets)
    config = LoraConfig(
        r=shape.rank, lora_alpha=shape.alpha, target_modules=list(shape.targets), init_lora_weights="gaussian"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network.add_adapter(config, STUDENT)
    return _parts(network, teacher=teacher)


def continue_(network: Network, folder: Path, pipeline: Pipeline, *, shape: Shape, teacher: str) -> Roles:
    """Start the student from a saved adapter instead; raises ValueError where that adapter has another shape."""
    load_adapter_(network, folder, pipeline, name=STUDENT)
    config = network.peft_config[STUDENT]
    if (config.r, config.lora_alpha) != (shape.rank, shape.alpha):
        raise ValueError(
            f"the parent adapter {folder} has rank {config.r} and alpha {config.lora_alpha}, train asks for rank "
            f"{shape.rank} and alpha {shape.alpha}: set train.rank and train.alpha to the parent's"
        )
    return _parts(network, teacher=teacher)


def save_adapter(network: Network, folder: Path, pipeline: Pipeline, *, name: str = STUDENT) -> Path:
    """Write adapter `name` as diffusers does, unmerged and fp32, to `folder`/pytorch_lora_weights.safetensors."""
    config = network.peft_config[name].to_dict()
    pipeline.save_lora_weights(
        folder,
        transformer_lora_layers={
            key: weight.detach().float().cpu().contiguous()
            for key, weight in get_peft_model_state_dict(network, adapter_name=name).items()
        },
        # Sorted, so that equal adapters are equal bytes.
        transformer_lora_adapter_metadata=config | {"target_modules": sorted(config["target_modules"])},
    )
    settle_(folder / FILE)
    return folder / FILE


def load_adapter_(network: Network, folder: Path, pipeline: Pipeline, *, name: str) -> None:
    """Put a saved adapter on `network` under `name`, and wear it.

    Raises FileNotFoundError or ValueError naming the file that is missing or damaged.
    """
    if not (folder / FILE).is_file():
        raise FileNotFoundError(f"{folder} has no {FILE}: train an adapter first, or name the folder that holds one")
    try:
        weights, metadata = pipeline.lora_state_dict(
            str(folder), weight_name=FILE, use_safetensors=True, return_lora_metadata=True
        )
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{folder / FILE} is damaged ({error}): restore it (dvc checkout) or train again") from error
    with _beside_others():
        pipeline.load_lora_into_transformer(weights, transformer=network, adapter_name=name, metadata=metadata)
    _put_on_(network, name)


@contextmanager
def wearing(network: Network, name: str | None) -> Iterator[None]:
    """Let `network` act with adapter `name`, or bare for None, and give it back what it wore.

    PEFT lets an adapter take gradient while it is worn and at no other time, so leaving restores that too.
    """
    before = _worn(network)
    _put_on_(network, name)
    try:
        yield
    finally:
        _put_on_(network, before)


def _parts(network: Network, *, teacher: str) -> Roles:
    """Give out the parts of a network that wears a student: fp32 masters, and for "ema" a teacher that starts equal."""
    student = _weights(network, STUDENT)
    copied: dict[str, nn.Parameter] = {}
    if teacher == "ema":
        with _beside_others():
            network.add_adapter(network.peft_config[STUDENT], TEACHER)
        copied = _weights(network, TEACHER)
        for key, weight in student.items():
            copied[key].data.copy_(weight.data)
    _put_on_(network, STUDENT)
    return Roles(network, student, copied)


@contextmanager
def _beside_others() -> Iterator[None]:
    """Let a network have several adapters without PEFT's warning: roles are what we want them for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        yield


def _put_on_(network: Network, name: str | None) -> None:
    if name is not None and name not in getattr(network, "peft_config", {}):
        raise ValueError(f"the network has no adapter {name!r}: load or attach it first")
    for layer in _layers(network):
        layer.enable_adapters(name is not None)
        if name is not None:
            layer.set_adapter(name)


def _worn(network: Network) -> str | None:
    layer = next(_layers(network), None)
    return None if layer is None or layer.disable_adapters else layer.active_adapters[0]


def _layers(network: Network) -> Iterator[BaseTunerLayer]:
    return (module for module in network.modules() if isinstance(module, BaseTunerLayer))


def _weights(network: Network, name: str) -> dict[str, nn.Parameter]:
    """Find the LoRA weights of adapter `name` by their names without it, as fp32 masters."""
    mark = f".{name}."
    found = {key.replace(mark, "."): weight for key, weight in network.named_parameters() if mark in key}
    for weight in found.values():
        weight.data = weight.data.float()
    return found


def _check_targets(network: Network, targets: Sequence[str]) -> None:
    names = [key for key, _ in network.named_modules()]
    for target in targets:
        if not any(key == target or key.endswith(f".{target}") for key in names):
            raise ValueError(f"LoRA target {target!r} matches no module of {type(network).__name__}: mend lora_targets")


def _length(tensors: list[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
