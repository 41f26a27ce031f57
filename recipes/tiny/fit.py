"""Fit modules to a loss for a number of steps, and go on where an interrupted fit stopped.

    fit("autoencoder", {"vae": vae}, loss, Budget(steps=3000, learning_rate=2e-3), folder=Path("runs/tiny"))

On a machine of few cores two processes of one thread are about twice as fast as one process of two threads:

    torchrun --nproc-per-node 2 -m recipes.tiny make
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from recipes.tiny.muon import Muon

SAVE_EVERY = 100
_INNER = ("layers.", ".layer.", "blocks.", "refiner.")

Loss = Callable[[int], Tensor]
Weights = dict[str, nn.Parameter]


@dataclass(frozen=True)
class Budget:
    """What a fit may cost: optimizer steps, and the peak of a cosine learning rate after a short warm-up."""

    steps: int
    learning_rate: float
    warmup: int = 50
    ema: float = 0.998
    weight_decay: float = 0.0
    muon: bool = False


def fit(name: str, modules: Mapping[str, nn.Module], loss: Loss, budget: Budget, *, folder: Path) -> None:
    """Minimise `loss(step)` over the parameters of `modules`, and leave their running average in them.

    Under torchrun each process draws its own steps and gradients are averaged; `loss` gets a number of its own a call.
    State lives in `folder/<name>.safetensors` (weights, average, moments) and is replaced atomically, so that kill -9
    costs at most `SAVE_EVERY` steps; a finished fit returns at once.
    """
    path = folder / f"{name}.safetensors"
    weights = {f"{m}.{n}": p for m, module in modules.items() for n, p in module.named_parameters() if p.requires_grad}
    average = {key: value.detach().clone() for key, value in weights.items()}
    optimizers = _optimizers(weights, budget)
    start = _restore(path, weights, average, optimizers)
    began, recent = time.monotonic(), []
    for step in range(start, budget.steps):
        value = loss(step * processes() + rank())
        value.backward()
        _average_gradients(weights)
        nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = _learning_rate(step, budget)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        _follow(average, weights, min(budget.ema, (1 + step) / (10 + step)))
        recent.append(value.item())
        if rank() == 0 and ((step + 1) % SAVE_EVERY == 0 or step + 1 == budget.steps):
            _save(path, step + 1, weights, average, optimizers)
            _report(name, step + 1, budget, recent, (step + 1 - start) / (time.monotonic() - began))
            recent.clear()
    with torch.no_grad():
        for key, value in weights.items():
            value.copy_(average[key])


def randomness(seed: int) -> torch.Generator:
    """Give a seeded generator on the device that tensors are made on."""
    return torch.Generator(torch.get_default_device()).manual_seed(seed)


def rank() -> int:
    """Tell which of torchrun's processes this is; 0 without torchrun."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """Tell how many processes torchrun started; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def _average_gradients(weights: Weights) -> None:
    if dist.is_initialized():
        gradients = [w.grad for w in weights.values() if w.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        parts = (flat / dist.get_world_size()).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def _optimizers(weights: Weights, budget: Budget) -> list[Optimizer]:
    """Give every weight to AdamW, or the inner matrices to Muon (same update size) and the rest to AdamW."""
    inner = [w for key, w in weights.items() if budget.muon and w.ndim == 2 and any(part in key for part in _INNER)]
    chosen = {id(w) for w in inner}
    outer = [w for w in weights.values() if id(w) not in chosen]
    adam = AdamW(outer, lr=budget.learning_rate, betas=(0.9, 0.98), weight_decay=budget.weight_decay)
    if not inner:
        return [adam]
    return [adam, Muon(inner, lr=budget.learning_rate, weight_decay=budget.weight_decay)]


def _learning_rate(step: int, budget: Budget) -> float:
    warm = min(1.0, (step + 1) / budget.warmup)
    return budget.learning_rate * warm * (0.02 + 0.98 * (1 + math.cos(math.pi * step / budget.steps)) / 2)


@torch.no_grad()
def _follow(average: dict[str, Tensor], weights: Weights, decay: float) -> None:
    torch._foreach_lerp_(list(average.values()), [w.detach() for w in weights.values()], 1 - decay)


def _report(name: str, step: int, budget: Budget, recent: list[float], rate: float) -> None:
    line = {"fit": name, "step": step, "of": budget.steps, "loss": round(sum(recent) / len(recent), 5)}
    print(json.dumps(line | {"steps_per_second": round(rate, 2)}), flush=True)


def _save(path: Path, step: int, weights: Weights, average: Mapping[str, Tensor], optimizers: list[Optimizer]) -> None:
    tensors = {f"weight/{key}": value.detach() for key, value in weights.items()}
    tensors |= {f"average/{key}": value for key, value in average.items()}
    names = {value: key for key, value in weights.items()}
    for optimizer in optimizers:
        for weight, state in optimizer.state.items():
            tensors |= {f"state/{slot}/{names[weight]}": torch.as_tensor(value) for slot, value in state.items()}
    save_atomically(tensors, path, {"step": str(step)})


def save_atomically(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file beside `path` and move it there whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".staged")
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, staged, metadata=metadata)
    staged.replace(path)


@torch.no_grad()
def _restore(path: Path, weights: Weights, average: dict[str, Tensor], optimizers: list[Optimizer]) -> int:
    """Put the saved state back and return the step to go on from; 0 where nothing was saved."""
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        for key, value in weights.items():
            value.copy_(file.get_tensor(f"weight/{key}"))
            average[key].copy_(file.get_tensor(f"average/{key}"))
        owner = {id(w): optimizer for optimizer in optimizers for w in optimizer.param_groups[0]["params"]}
        for entry in file.keys():  # noqa: SIM118 (safe_open is no mapping)
            kind, _, rest = entry.partition("/")
            if kind == "state":
                slot, _, key = rest.partition("/")
                owner[id(weights[key])].state[weights[key]][slot] = file.get_tensor(entry).to(weights[key].device)
        return int(file.metadata()["step"])
