"""An adapter in the key layouts that other programs read; unmerged, as it was trained.

>>> export_adapter(Path("data/adapter"), family("z-image"), "comfyui", Path("star.safetensors"))

The scale alpha / rank is multiplied into the up weights, so that a reader who knows no alpha reads the same adapter.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from dopsd.exporting.layout import LAYOUTS
from dopsd.family import Family
from dopsd.tensor_file import write
from dopsd.weights.adapter import read_adapter
from dopsd.weights.trained import FILE

Format = Literal["diffusers", "comfyui", "kohya"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class Factors:
    """What a layer gains, `up` @ `down`; shapes (out, rank) and (rank, in), fp32."""

    up: Tensor
    down: Tensor


def export_adapter(adapter: Path, family: Family, form: str, out: Path) -> None:
    """Write the adapter in folder `adapter` to the file `out`; "diffusers" is the file as it was saved.

    Raises FileNotFoundError and ValueError as `load_adapter_` does, and ValueError for a form nobody knows, and for a
    DoRA in any form but diffusers'.
    """
    check(form)
    factors = _factors(adapter, family, form)  # read whatever the form: a damaged file is not handed on
    if form == "diffusers":
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(adapter / FILE, out)
        return
    layout = LAYOUTS[family.name]
    if layout.has_own_adapters:
        factors = layout.gathered(factors, _joined)
    write(_in_comfyui(factors) if form == "comfyui" else _in_kohya(factors), out, {"format": "pt"})


def check(form: str) -> None:
    """Refuse a form that nobody knows; raises ValueError listing the known ones."""
    if form not in FORMATS:
        raise ValueError(f"--format: there is no {form!r}; choose one of {', '.join(FORMATS)}")


def _factors(adapter: Path, family: Family, form: str) -> dict[str, Factors]:
    """Read the factors of each layer by its name, the scale multiplied in."""
    weights, config = read_adapter(adapter, family.pipeline)
    if config["transformer.use_dora"] and form != "diffusers":
        raise ValueError(
            f"{adapter} is a DoRA, which is more than two factors a layer: export it with --merged, or as diffusers"
        )
    scale = config["transformer.lora_alpha"] / config["transformer.r"]
    ups = {key.removesuffix(".lora_B.weight"): weight for key, weight in weights.items() if "lora_B" in key}
    return {
        name.removeprefix("transformer."): Factors(scale * up.float(), weights[f"{name}.lora_A.weight"].float())
        for name, up in ups.items()
    }


def _joined(parts: Sequence[Factors | None]) -> Factors:
    """Make one pair of factors that gives each part's rows what its own gave: ups along a diagonal, downs stacked."""
    there = [part for part in parts if part is not None]
    rows = len(there[0].up)
    ups = [torch.zeros(rows, 0) if part is None else part.up for part in parts]
    return Factors(torch.block_diag(*ups), torch.cat([part.down for part in there]))


def _in_comfyui(factors: Mapping[str, Factors]) -> dict[str, Tensor]:
    pairs = [(f"diffusion_model.{name}", pair) for name, pair in factors.items()]
    downs = {f"{name}.lora_A.weight": pair.down for name, pair in pairs}
    return downs | {f"{name}.lora_B.weight": pair.up for name, pair in pairs}


def _in_kohya(factors: Mapping[str, Factors]) -> dict[str, Tensor]:
    pairs = [(f"lora_unet_{name.replace('.', '_')}", pair) for name, pair in factors.items()]
    downs = {f"{name}.lora_down.weight": pair.down for name, pair in pairs}
    ups = {f"{name}.lora_up.weight": pair.up for name, pair in pairs}
    return downs | ups | {f"{name}.alpha": torch.tensor(float(len(pair.down))) for name, pair in pairs}
