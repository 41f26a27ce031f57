"""Who draws in a comparison: one network that speaks as the base, as the parent, or as the new model.

>>> cast = load_cast(params, base, {"adapter": Path("data/adapter")})
>>> with cast.speaking("adapter") as denoiser: ...
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from dopsd.families.catalogue import family
from dopsd.family import Denoiser
from dopsd.placement import fastest
from dopsd.weights.adapter import load_adapter_, wearing
from dopsd.weights.trained import is_whole
from dopsd.weights.whole import lent, read_whole
from tasks.params import Params


@dataclass(frozen=True)
class Cast:
    """The base, loaded once with every adapter on it, and the weights of models that were tuned as a whole."""

    denoiser: Denoiser
    wholes: Mapping[str, Mapping[str, Tensor]]

    @contextmanager
    def speaking(self, name: str) -> Iterator[Denoiser]:
        """Let the network speak as one model; "base" wears nothing."""
        network = self.denoiser.network
        if name in self.wholes:
            with lent(network, self.wholes[name]):
                yield self.denoiser
        else:
            with wearing(network, None if name == "base" else name):
                yield self.denoiser


def load_cast(params: Params, base: Path, folders: Mapping[str, Path]) -> Cast:
    """Load the base, and what was trained for it by name: folders with an adapter, or with all weights."""
    line = family(params.models.family)
    denoiser = line.load_denoiser(base, fastest())
    wholes = {name: read_whole(denoiser.network, folder) for name, folder in folders.items() if is_whole(folder)}
    for name, folder in folders.items():
        if name not in wholes:
            load_adapter_(denoiser.network, folder, line.pipeline, name=name)
    return Cast(denoiser, wholes)
