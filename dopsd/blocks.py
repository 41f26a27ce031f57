"""The repeated blocks of a network: nearly all of its weights, one after another, so that few need be there at a time.

>>> len(list(blocks(denoiser.network)))
"""

from collections.abc import Iterator

from torch import nn

from dopsd.family import Network


def blocks(network: Network) -> Iterator[nn.Module]:
    """Go through the blocks of `network` that diffusers calls repeated, in the order in which they are written down."""
    return (module for module in network.modules() if type(module).__name__ in network._repeated_blocks)
