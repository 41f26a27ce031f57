"""Blocks compiled one kind at a time (regional compilation): the norms, gates and casts of each become few kernels.

>>> compile_(denoiser.network)

The weights stay where they were and keep their names, so a state that was made with it goes on without, and back.
"""

import torch

from dopsd.family import Network

_FORMS = 64
"""How many forms of a block may meet: who speaks, with gradient or without, how long the longest row is."""


def compile_(network: Network, *, backend: str = "inductor") -> None:
    """Compile the repeated blocks of `network` when they are first walked, each as a whole: a graph break raises."""
    torch._dynamo.config.recompile_limit = max(_FORMS, torch._dynamo.config.recompile_limit)
    network.compile_repeated_blocks(fullgraph=True, backend=backend)
