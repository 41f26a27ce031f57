"""The model that a method trains on: the deployed base, its undistilled parent, or the base with an adapter fused.

>>> model = beneath(params, Path("models/tiny-z-image"))
>>> denoiser = model.load(family("z-image"), fastest())
"""

from dataclasses import dataclass
from pathlib import Path

from dopsd.family import Denoiser, Family
from dopsd.objective import objective
from dopsd.placement import Placement
from dopsd.pretrained import named
from dopsd.weights.adapter import fuse_
from dopsd.weights.trained import FILE
from tasks.folders import sha256_of_file
from tasks.params import PARAMS_FILE, Params


@dataclass(frozen=True)
class Beneath:
    """A folder in the layout of the hub, the folder of an adapter that is fused into it (or none), and their name."""

    model: Path
    fused: Path | None
    name: str
    is_deployed: bool

    def load(self, line: Family, placement: Placement) -> Denoiser:
        """Load the denoiser. Raises FileNotFoundError or ValueError naming what is missing or damaged."""
        denoiser = line.load_denoiser(self.model, placement)
        if self.fused is not None:
            fuse_(denoiser.network, self.fused, line.pipeline)
        return denoiser


def beneath(params: Params, base: Path) -> Beneath:
    """Find what `train.method` trains on.

    Raises ValueError where params.yaml names no such model, FileNotFoundError where it is not there.
    """
    model = objective(params.train.method)(params.train).needs.model
    if model == "undistilled":
        parent = _place("undistilled", params, "the model that the base was distilled from")
        return Beneath(parent, None, named(parent), is_deployed=False)
    if model == "dedistilled":
        fused = _place("dedistillation", params, f"the folder of a de-distillation adapter ({FILE})")
        if not (fused / FILE).is_file():
            raise FileNotFoundError(f"{fused} has no {FILE}: name {PARAMS_FILE}'s models.dedistillation rightly")
        digest = sha256_of_file(fused / FILE)
        return Beneath(base, fused, f"{named(base)}+{fused.name}@{digest[:12]}", is_deployed=False)
    return Beneath(base, None, named(base), is_deployed=True)


def _place(key: str, params: Params, meaning: str) -> Path:
    said = str(getattr(params.models, key))
    if not said:
        raise ValueError(f"{PARAMS_FILE}: train.method is {params.train.method}, set models.{key}: {meaning}")
    if not Path(said).is_dir():
        raise FileNotFoundError(f"there is no {said} (models.{key}), {meaning}: put it there")
    return Path(said)
