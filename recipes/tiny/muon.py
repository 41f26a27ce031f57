"""Muon in fp32: momentum made orthogonal, for the inner matrices of a transformer (Jordan et al. 2024).

torch.optim.Muon does the orthogonalisation in bf16, which a CPU without bf16 units runs fifty times slower than fp32;
here it is fp32, and matrices of one shape go together.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_A, _B, _C = 3.4445, -4.775, 2.0315
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Update matrices by their orthogonalised momentum, scaled to the size that an update of AdamW has."""

    def __init__(
        self, weights: Iterable[nn.Parameter], *, lr: float, weight_decay: float, momentum: float = 0.95
    ) -> None:
        """Take matrices only; the rest of a model belongs to AdamW."""
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update every weight that has a gradient."""
        assert closure is None, "Muon takes no closure"
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for weights in alike.values():
                self._update(weights, group["lr"], group["weight_decay"], group["momentum"])

    def _update(self, weights: list[nn.Parameter], lr: float, weight_decay: float, momentum: float) -> None:
        buffers = [self._buffer(weight) for weight in weights]
        gradients = [weight.grad for weight in weights]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, buffers, momentum)
        steps = orthogonal(torch.stack(ahead)) * (0.2 * max(weights[0].shape) ** 0.5)
        torch._foreach_mul_(weights, 1 - lr * weight_decay)
        torch._foreach_add_(weights, list(steps), alpha=-lr)

    def _buffer(self, weight: nn.Parameter) -> Tensor:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        return state["momentum_buffer"]


def orthogonal(matrices: Tensor) -> Tensor:
    """Push the singular values of matrices (n, rows, columns) towards 1 by Newton-Schulz rounds."""
    x = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.mT if matrices.shape[-2] > matrices.shape[-1] else x
