"""How far two sets of weights lie apart, tensor by tensor.

>>> distance(Path("kept"), Path("rebuilt")).relative
"""

import math
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from dopsd.weights.trained import FILE, FOLDER, is_whole


@dataclass(frozen=True)
class Distance:
    """The largest difference of any weight, and the worst tensor's difference as a part of its own norm.

    In an adapter that began from nothing one of each two matrices is all that was learnt, so that none hides behind
    large weights that never moved.
    """

    largest: float
    relative: float


def distance(kept: Path, rebuilt: Path) -> Distance:
    """Measure in fp64; infinite where the two are not of the same names and shapes."""
    old, new = _read(kept), _read(rebuilt)
    if {name: weight.shape for name, weight in old.items()} != {name: weight.shape for name, weight in new.items()}:
        return Distance(math.inf, math.inf)
    apart = [(new[name].double() - weight.double(), weight.double()) for name, weight in old.items()]
    return Distance(
        max((float(change.abs().max()) for change, _ in apart if change.numel()), default=0.0),
        max((_ratio(float(change.norm()), float(weight.norm())) for change, weight in apart), default=0.0),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.inf if part else 0.0


def _read(folder: Path) -> dict[str, Tensor]:
    """Read an adapter, or all files of all weights."""
    files = sorted((folder / FOLDER).glob("*.safetensors")) if is_whole(folder) else [folder / FILE]
    return {name: weight for file in files for name, weight in load_file(file).items()}
