"""Adapters on a network: worn one at a time, saved as diffusers saves them, loaded, fused.

>>> load_adapter_(denoiser.network, Path("data/adapter"), family.pipeline, name="champion")
>>> with wearing(denoiser.network, None):
...     velocity = denoiser.velocity(x, sigma, contexts)  # of the bare base
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from torch import Tensor

from dopsd.family import Network, Pipeline
from dopsd.tensor_file import settle_
from dopsd.weights.trained import FILE, is_whole

STUDENT = "student"


def save_adapter(network: Network, folder: Path, pipeline: Pipeline, *, name: str = STUDENT) -> Path:
    """Write adapter `name` as diffusers does, unmerged and fp32, to `folder`/pytorch_lora_weights.safetensors."""
    config = network.peft_config[name].to_dict()
    pipeline.save_lora_weights(
        folder,
        transformer_lora_layers={
            key: weight.detach().float().cpu().contiguous()
            for key, weight in get_peft_model_state_dict(network, adapter_name=name).items()
        },
        # Sorted, so that equal adapters are equal bytes.
        transformer_lora_adapter_metadata=config | {"target_modules": sorted(config["target_modules"])},
    )
    settle_(folder / FILE)
    return folder / FILE


def load_adapter_(network: Network, folder: Path, pipeline: Pipeline, *, name: str) -> None:
    """Put a saved adapter on `network` under `name`, and wear it; raises as `read_adapter` does."""
    weights, metadata = read_adapter(folder, pipeline)
    with beside_others():
        pipeline.load_lora_into_transformer(weights, transformer=network, adapter_name=name, metadata=metadata)
    put_on_(network, name)


def read_adapter(folder: Path, pipeline: Pipeline) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the weights of a saved adapter, and PEFT's configuration of it; names begin with "transformer.".

    Raises FileNotFoundError or ValueError naming the file that is missing or damaged.
    """
    if not (folder / FILE).is_file() and is_whole(folder):
        raise ValueError(
            f"{folder} holds a whole network (train.weights: full), and an adapter is needed here: load it as the "
            "transformer of a pipeline instead"
        )
    if not (folder / FILE).is_file():
        raise FileNotFoundError(f"{folder} has no {FILE}: train an adapter first, or name the folder that holds one")
    try:
        weights, metadata = pipeline.lora_state_dict(
            str(folder), weight_name=FILE, use_safetensors=True, return_lora_metadata=True
        )
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{folder / FILE} is damaged ({error}): restore it (dvc checkout) or train again") from error
    return weights, metadata


@contextmanager
def wearing(network: Network, name: str | None) -> Iterator[None]:
    """Let `network` act with adapter `name`, or bare for None, and give it back what it wore.

    PEFT lets an adapter take gradient while it is worn and at no other time, so leaving restores that too.
    """
    before = _worn(network)
    put_on_(network, name)
    try:
        yield
    finally:
        put_on_(network, before)


def fuse_(network: Network, folder: Path, pipeline: Pipeline) -> None:
    """Merge a saved adapter into the weights of `network` for good, so that others can be trained on the sum.

    In bf16 what is smaller than a weight's last bit is lost. Raises as `load_adapter_` does.
    """
    load_adapter_(network, folder, pipeline, name="fused")
    network.fuse_lora(adapter_names=["fused"])
    network.unload_lora()
    network.requires_grad_(requires_grad=False)


@contextmanager
def beside_others() -> Iterator[None]:
    """Let a network have several adapters without PEFT's warning: roles are what we want them for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        yield


def put_on_(network: Network, name: str | None) -> None:
    """Let `network` act with adapter `name` from now on, or bare for None; raises ValueError where there is none."""
    if name is not None and name not in getattr(network, "peft_config", {}):
        raise ValueError(f"the network has no adapter {name!r}: load or attach it first")
    for layer in _layers(network):
        layer.enable_adapters(name is not None)
        if name is not None:
            layer.set_adapter(name)


def _worn(network: Network) -> str | None:
    layer = next(_layers(network), None)
    return None if layer is None or layer.disable_adapters else layer.active_adapters[0]


def _layers(network: Network) -> Iterator[BaseTunerLayer]:
    return (module for module in network.modules() if isinstance(module, BaseTunerLayer))
