"""Where a LoRA goes: suffixes of module names, checked, and spelt out where PEFT would stumble over them.

>>> spelled(network, ["attn.to_q", "attn.to_out"])

FLUX.2 has linear layers called `attn.to_out` in its single blocks, and containers of that name in its double ones.
"""

from collections.abc import Sequence

from torch import nn

from dopsd.family import Network


def spelled(network: Network, targets: Sequence[str]) -> list[str]:
    """Give `targets` back, those that name containers too replaced by the full names of the layers that they mean.

    Raises ValueError naming a target that matches no layer.
    """
    names: list[str] = []
    for target in targets:
        found = {key: module for key, module in network.named_modules() if f".{key}".endswith(f".{target}")}
        layers = [key for key, module in found.items() if not isinstance(module, nn.ModuleList)]
        if not layers:
            raise ValueError(f"LoRA target {target!r} matches no module of {type(network).__name__}: mend lora_targets")
        names += [target] if len(layers) == len(found) else layers
    return names
