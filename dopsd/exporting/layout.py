"""What the authors' checkpoints call the layers that diffusers renamed, and which layers they hold as one.

>>> LAYOUTS["z-image"].name("all_x_embedder.2-1.weight")  # x_embedder.weight
>>> LAYOUTS["flux2-klein"].whole("transformer_blocks.0.attn.to_k")  # double_blocks.0.img_attn.qkv, second of its three

ComfyUI and others read the authors' names; diffusers has converters from them, and none to them.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Whole:
    """A layer of the authors' that diffusers holds in `count` parts, and which of them is meant."""

    name: str
    part: int = 0
    count: int = 1


@dataclass(frozen=True)
class Layout:
    """Rules from diffusers' names to the authors'; `renames` are regular expressions, applied in their order.

    `joined` are the ends of names of parts, in the order they lie in the whole, and the end of the whole's name.
    `swapped` are names whose two halves (shift and scale) lie the other way round. `has_own_adapters`: trainers write
    adapters in the authors' names; for the others in diffusers'.
    """

    renames: Sequence[tuple[str, str]]
    joined: Mapping[tuple[str, ...], str]
    swapped: Sequence[str] = ()
    has_own_adapters: bool = False

    def name(self, name: str) -> str:
        """Say what the authors call a layer, or a weight, that is one with them, too."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name

    def whole(self, name: str) -> Whole:
        """Say which layer of the authors' holds the layer (or weight) `name`."""
        for parts, end in self.joined.items():
            for number, part in enumerate(parts):
                if re.search(rf"\.{re.escape(part)}(?=\.|$)", name):
                    return Whole(self.name(name.replace(part, end)), number, len(parts))
        return Whole(self.name(name))

    def gathered(self, parts: Mapping[str, _Part], join: Callable[[Sequence[_Part | None]], _Part]) -> dict[str, _Part]:
        """Put parts under the authors' names, those of one whole joined in order; None stands for one left out."""
        gathered: dict[str, _Part] = {}
        wholes: dict[str, list[_Part | None]] = {}
        for name, value in parts.items():
            whole = self.whole(name)
            if whole.count == 1:
                gathered[whole.name] = value
            else:
                wholes.setdefault(whole.name, [None] * whole.count)[whole.part] = value
        return gathered | {name: join(values) for name, values in wholes.items()}


LAYOUTS: Mapping[str, Layout] = {
    "z-image": Layout(
        renames=(
            (r"^all_(x_embedder|final_layer)\.\d+-\d+\.", r"\1."),
            (r"\.attention\.to_out\.0(?=\.|$)", ".attention.out"),
            (r"\.attention\.norm_([qk])\.", r".attention.\1_norm."),
        ),
        joined={("attention.to_q", "attention.to_k", "attention.to_v"): "attention.qkv"},
    ),
    "flux2-klein": Layout(
        renames=(
            (r"^single_transformer_blocks\.(\d+)\.attn\.to_qkv_mlp_proj", r"single_blocks.\1.linear1"),
            (r"^single_transformer_blocks\.(\d+)\.attn\.to_out", r"single_blocks.\1.linear2"),
            (r"^single_transformer_blocks\.(\d+)\.attn\.", r"single_blocks.\1."),
            (r"^transformer_blocks\.", "double_blocks."),
            (r"\.attn\.to_out\.0", ".img_attn.proj"),
            (r"\.attn\.to_add_out", ".txt_attn.proj"),
            (r"\.attn\.norm_added_", ".txt_attn.norm_"),
            (r"\.attn\.norm_", ".img_attn.norm_"),
            (r"\.norm_q\.weight$", ".norm.query_norm.scale"),
            (r"\.norm_k\.weight$", ".norm.key_norm.scale"),
            (r"\.ff\.linear_in", ".img_mlp.0"),
            (r"\.ff\.linear_out", ".img_mlp.2"),
            (r"\.ff_context\.linear_in", ".txt_mlp.0"),
            (r"\.ff_context\.linear_out", ".txt_mlp.2"),
            (r"^x_embedder", "img_in"),
            (r"^context_embedder", "txt_in"),
            (r"^time_guidance_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
            (r"^time_guidance_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
            (r"^time_guidance_embed\.guidance_embedder\.linear_1", "guidance_in.in_layer"),
            (r"^time_guidance_embed\.guidance_embedder\.linear_2", "guidance_in.out_layer"),
            (r"^(double_stream_modulation_(?:img|txt)|single_stream_modulation)\.linear", r"\1.lin"),
            (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
            (r"^proj_out", "final_layer.linear"),
        ),
        joined={
            ("attn.to_q", "attn.to_k", "attn.to_v"): "img_attn.qkv",
            ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"): "txt_attn.qkv",
        },
        swapped=("final_layer.adaLN_modulation.1.weight",),
        has_own_adapters=True,
    ),
}
"""By family; the referee of these rules is `diffusers.loaders.single_file_utils`, in the tests."""
