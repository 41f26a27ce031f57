"""What a method wants made once by the untrained model, a file an image, so that a kill costs one image at most.

>>> kept = prepared(method, denoiser, roles, examples, Shelf.of(checkpoint.folder, training))
>>> drawn(kept, batch, seed=7).shape  # (rows, ...)
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dopsd.dataset.examples import Example, Examples
from dopsd.family import Denoiser
from dopsd.objective import Objective
from dopsd.processes import ranks
from dopsd.recipe import Training
from dopsd.tensor_file import read, write
from dopsd.weights.roles import Roles

_MEND = "delete it to make it again"


@dataclass(frozen=True)
class Shelf:
    """Where samples are kept (a folder for one run's identity), how many an image, and what they are drawn from."""

    folder: Path
    count: int
    seed: int

    @classmethod
    def of(cls, folder: Path, training: Training) -> "Shelf":
        """Make the shelf of a run that keeps its state in `folder`."""
        return cls(folder / "prepared", training.num_samples, training.seed)


def prepared(
    method: Objective, denoiser: Denoiser, roles: Roles, examples: Examples, shelf: Shelf
) -> Mapping[str, Tensor]:
    """Give by example id what `method` keeps, (count, ...) each; what lies there already is read.

    The network must be untrained; processes that train together share the work. Raises ValueError for a damaged file.
    """
    paths = {example.id: shelf.folder / f"{example.id}.safetensors" for example in examples}
    lacking = [example for example in examples if not paths[example.id].exists()]
    ranks.wait()  # all have looked: now there may be more
    for example in ranks.share(lacking):
        made = method.prepare(denoiser, roles, example, _seeds(example.id, shelf))
        if made is not None:
            write({"samples": made}, paths[example.id])
    ranks.wait()
    return {name: read(path, mend=_MEND)[0]["samples"] for name, path in paths.items() if path.exists()}


def drawn(kept: Mapping[str, Tensor], batch: Sequence[Example], seed: int) -> Tensor:
    """Draw one of its own samples for each row of `batch`, (rows, ...); empty where nothing was kept."""
    if not kept:
        return torch.empty(0)
    rng = np.random.default_rng([seed, 2])
    return torch.stack([kept[example.id][rng.integers(len(kept[example.id]))] for example in batch])


def _seeds(name: str, shelf: Shelf) -> list[int]:
    """Draw seeds for one example that depend on nothing but its id and the run's seed."""
    entropy = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    seeds: list[int] = np.random.SeedSequence([shelf.seed, entropy]).generate_state(shelf.count).tolist()
    return seeds
