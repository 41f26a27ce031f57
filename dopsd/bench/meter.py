"""What a piece of work costs: its floating-point operations, and the most that autograd held for backward at a time.

>>> with metered(network) as cost:
...     loss(network).backward()
>>> cost.flops, cost.held_bytes
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


class Cost:
    """Counts, growing while the work goes on."""

    def __init__(self, weights: set[int]) -> None:
        """Take the storages of weights: they are there anyway, so they are not held for backward."""
        self.flops = 0
        self.held_bytes = 0
        self._weights = weights
        self._holders = Counter[int]()
        self._now = 0

    def pack(self, tensor: Tensor) -> "Tensor | _Held":
        """Note that autograd keeps a tensor; what shares memory with another counts once."""
        memory = tensor.untyped_storage()
        if memory._cdata in self._weights:
            return tensor
        self._holders[memory._cdata] += 1
        if self._holders[memory._cdata] == 1:
            self._now += memory.nbytes()
            self.held_bytes = max(self.held_bytes, self._now)
        return _Held(tensor, self)

    def let_go(self, tensor: Tensor) -> None:
        """Note that one holder less keeps a tensor."""
        memory = tensor.untyped_storage()
        self._holders[memory._cdata] -= 1
        if not self._holders[memory._cdata]:
            self._now -= memory.nbytes()


class _Held:
    """A tensor while autograd keeps it."""

    def __init__(self, tensor: Tensor, cost: Cost) -> None:
        self.tensor, self._cost = tensor, cost

    def __del__(self) -> None:
        self._cost.let_go(self.tensor)


@contextmanager
def metered(network: nn.Module) -> Iterator[Cost]:
    """Count what happens within; it takes longer meanwhile."""
    cost = Cost({weight.untyped_storage()._cdata for weight in network.parameters()})
    with (
        FlopCounterMode(display=False, custom_mapping=_COUNTED) as counter,
        saved_tensors_hooks(cost.pack, _given_back),
    ):
        yield cost
    cost.flops = counter.get_total_flops()


def _given_back(held: "Tensor | _Held") -> Tensor:
    return held.tensor if isinstance(held, _Held) else held


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, _of_all_heads(key, query), _of_all_heads(value, query)))


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, _of_all_heads(key, query), _of_all_heads(value, query)))


def _of_all_heads(shape: Sequence[int], query: Sequence[int]) -> tuple[int, ...]:
    """Give every head of the query keys and values of its own: what some share, torch 2.11 does not count."""
    return query[0], query[1], *shape[2:]


_KERNELS = ("flash_attention", "efficient_attention", "cudnn_attention", "flash_attention_for_cpu")
_COUNTED = {
    getattr(torch.ops.aten, f"_scaled_dot_product_{kernel}{back}"): count
    for kernel in _KERNELS
    for back, count in (("", _attention), ("_backward", _attention_backward))
}
