"""A network that nobody has room for: its weights, and so all that comes of them, have shape and number format alone.

>>> Imagined(about.denoiser(about.network("full", Placement(torch.device("meta"), torch.bfloat16)))).velocity(...)
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dopsd.family import Context, Denoiser


class Imagined:
    """A denoiser of a network on the "meta" device; what happens to it is seen by `watching`, if that is given."""

    def __init__(self, denoiser: Denoiser, watching: AbstractContextManager[object] | None = None) -> None:
        """Put imagined weights into the denoiser's own network."""
        self._denoiser, self._mode = denoiser, FakeTensorMode(allow_non_fake_inputs=True)
        self._watching = watching or nullcontext()
        self.network = denoiser.network
        with self._mode:
            for module in self.network.modules():
                for name, weight in module.named_parameters(recurse=False):
                    fake = torch.empty(weight.shape, dtype=weight.dtype)
                    setattr(module, name, nn.Parameter(fake, requires_grad=weight.requires_grad))

    def sigmas(self, num_steps: int, latent_shape: Sequence[int]) -> Tensor:
        """List real noise levels."""
        return self._denoiser.sigmas(num_steps, latent_shape)

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Sequence[Context]) -> Tensor:
        """Predict an imagined velocity."""
        with self.imagining():
            return self._denoiser.velocity(x, sigma, contexts)

    @contextmanager
    def imagining(self) -> Iterator[None]:
        """Let nothing be computed, and be watched."""
        with self._mode, self._watching:
            yield
