"""The most memory that tensors take at a time, whatever keeps them: autograd, a checkpoint, or a name.

>>> with Memory() as memory:
...     loss(network).backward()
>>> memory.most_bytes
"""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Memory(TorchDispatchMode):
    """Counts the bytes of what operations make, until the last tensor that looks at them is gone."""

    def __init__(self) -> None:
        """Begin with nothing: what was there before does not count."""
        super().__init__()
        self.most_bytes = 0
        self._now = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let the operation run, and note the memory that it took; a view, or a result in place, takes none."""
        made = func(*args, **(kwargs or {}))
        given = {_memory(tensor)._cdata for tensor in _tensors((args, kwargs))}
        for memory in {_memory(tensor)._cdata: _memory(tensor) for tensor in _tensors(made)}.values():
            if memory._cdata not in given:
                self._take(memory.nbytes())
                weakref.finalize(memory, self._take, -memory.nbytes())
        return made

    def _take(self, count: int) -> None:
        self._now += count
        self.most_bytes = max(self.most_bytes, self._now)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> torch.UntypedStorage:
    return tensor.untyped_storage()
