"""An adapter merged into its base, in fp32; and what of it a merge in bf16 would have kept.

>>> kept = merge_(network, Path("data/adapter"), family.pipeline)
>>> export_merged(network, family, "comfyui", Path("star-merged.safetensors"))

A bf16 weight has 8 bits for its digits: a change below 1/512 of it is rounded away, and much of an adapter is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor

from dopsd.exporting.export import check
from dopsd.exporting.layout import LAYOUTS, Layout
from dopsd.family import Family, Network, Pipeline
from dopsd.tensor_file import write
from dopsd.weights.adapter import load_adapter_
from dopsd.weights.whole import save_whole

_NAME = "merged"


@dataclass(frozen=True)
class Kept:
    """What bf16 would keep of a merge: the share of weights that change at all, and how far off the change is.

    `error` is the length of what rounding adds to or takes from the change, relative to the change's own length.
    """

    changed: float
    error: float


@torch.no_grad()
def merge_(network: Network, adapter: Path, pipeline: Pipeline) -> Kept:
    """Add a saved adapter to the weights of `network`, which must be fp32, for good; tell what bf16 would keep of it.

    Raises as `load_adapter_` does.
    """
    assert network.dtype == torch.float32, "a merge in fewer bits loses what it is made for"
    load_adapter_(network, adapter, pipeline, name=_NAME)
    sums = torch.zeros(4, dtype=torch.float64)  # weights that change, weights, squared error, squared change
    for layer in network.modules():
        if isinstance(layer, BaseTunerLayer):
            weight = layer.get_base_layer().weight
            before = weight.detach().clone()
            layer.merge(adapter_names=[_NAME])
            sums += _rounded(before, weight)
    network.unload_lora()
    changed, count, error, length = sums.tolist()
    return Kept(changed / count, (error / length) ** 0.5 if length else 0.0)


def export_merged(network: Network, family: Family, form: str, out: Path) -> None:
    """Write all weights in fp32: "diffusers" is a folder, `out`/transformer; "comfyui" one file in the authors' names.

    Raises ValueError for a form of adapters alone.
    """
    check(form)
    if form == "kohya":
        raise ValueError("--merged: kohya is a form of adapters; merged weights are diffusers or comfyui")
    if form == "diffusers":
        save_whole(network, out)
    else:
        write(original(network.state_dict(), LAYOUTS[family.name]), out, {"format": "pt"})


def original(weights: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Give a network's weights the names, and the form, that the authors' checkpoints have."""

    def joined(parts: Sequence[Tensor | None]) -> Tensor:
        return torch.cat([part for part in parts if part is not None])

    found = layout.gathered(weights, joined)
    for name in layout.swapped:
        found[name] = torch.cat(found[name].chunk(2)[::-1])
    return found


def _rounded(before: Tensor, after: Tensor) -> Tensor:
    """Count and measure what is left of a change once both ends of it are rounded to bf16."""
    change, left = after - before, after.bfloat16().float() - before.bfloat16().float()
    squares = [float((left - change).square().sum()), float(change.square().sum())]
    return torch.tensor([float((left != 0).sum()), float(left.numel()), *squares], dtype=torch.float64)
