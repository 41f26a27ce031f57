"""Adapters in other programs' layouts, and merges; diffusers' own converters are the referee."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_flux2_transformer_checkpoint_to_diffusers,
    convert_z_image_transformer_checkpoint_to_diffusers,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file

from dopsd.exporting.export import export_adapter
from dopsd.exporting.layout import LAYOUTS
from dopsd.exporting.merging import export_merged, merge_, original
from dopsd.families.catalogue import NAMES, family
from dopsd.family import Family, Network
from dopsd.weights.adapter import load_adapter_, read_adapter, save_adapter
from dopsd.weights.adapter_roles import Shape, attach_
from dopsd.weights.trained import FILE
from dopsd.weights.whole import read_whole

REFEREES = {
    "z-image": convert_z_image_transformer_checkpoint_to_diffusers,
    "flux2-klein": convert_flux2_transformer_checkpoint_to_diffusers,
}
ALPHA, RANK = 6, 4


class Made:
    """A family with an adapter that does something, saved."""

    def __init__(self, name: str, models: Any, folder: Path, *, is_dora: bool = False) -> None:
        self.family: Family = family(name)
        self.base = models.base if name == "z-image" else models.klein
        self.folder = folder
        network = self.network()
        roles = attach_(network, Shape(self.family.lora_targets, RANK, ALPHA, is_dora), teacher="frozen", seed=0)
        rng = torch.Generator().manual_seed(1)
        for weight in roles.student.values():
            weight.data += 0.02 * torch.randn(weight.shape, generator=rng)
        save_adapter(network, folder, self.family.pipeline)

    def network(self) -> Network:
        """Load the bare base."""
        return self.family.load_denoiser(self.base).network

    def deltas(self, file: Path) -> dict[str, torch.Tensor]:
        """Let diffusers read a file, and give what each layer gains by it."""
        weights, config = read_adapter(file.parent, self.family.pipeline)
        scale = config["transformer.lora_alpha"] / config["transformer.r"] if config else 1.0
        return {
            key.removesuffix(".lora_A.weight"): scale * weights[key.replace("lora_A", "lora_B")] @ down
            for key, down in weights.items()
            if "lora_A" in key
        }


@pytest.fixture(params=NAMES)
def made(request: pytest.FixtureRequest, models: Any, tmp_path: Path) -> Made:
    return Made(request.param, models, tmp_path / "adapter")


@pytest.mark.parametrize("form", ["comfyui", "kohya"])
def test_diffusers_reads_the_same_change_of_every_layer_back(made: Made, form: str, tmp_path: Path) -> None:
    out = tmp_path / form / FILE
    export_adapter(made.folder, made.family, form, out)
    before, after = made.deltas(made.folder / FILE), made.deltas(out)
    assert before.keys() == after.keys()
    for name, delta in before.items():
        torch.testing.assert_close(after[name], delta, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("form", ["comfyui", "kohya"])
def test_an_exported_adapter_works_on_the_network_as_the_saved_one_does(made: Made, form: str, tmp_path: Path) -> None:
    out = tmp_path / form / FILE
    export_adapter(made.folder, made.family, form, out)
    network = made.network()
    load_adapter_(network, made.folder, made.family.pipeline, name="saved")
    load_adapter_(network, out.parent, made.family.pipeline, name="exported")
    x = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
    for layer in (module for module in network.modules() if isinstance(module, BaseTunerLayer)):
        inputs = x[:, : layer.in_features]
        layer.set_adapter("saved")
        expected = layer(inputs)
        layer.set_adapter("exported")
        torch.testing.assert_close(layer(inputs), expected, rtol=1e-4, atol=1e-5)


def test_names_are_those_that_programs_look_for(models: Any, tmp_path: Path) -> None:
    named = {}
    for name in NAMES:
        made = Made(name, models, tmp_path / name)
        for form in ("comfyui", "kohya"):
            export_adapter(made.folder, made.family, form, tmp_path / f"{name}-{form}.safetensors")
            named[name, form] = set(load_file(tmp_path / f"{name}-{form}.safetensors"))
    assert "diffusion_model.layers.0.attention.to_q.lora_A.weight" in named["z-image", "comfyui"]
    assert "lora_unet_layers_0_attention_to_out_0.lora_down.weight" in named["z-image", "kohya"]
    assert "diffusion_model.double_blocks.0.img_attn.qkv.lora_B.weight" in named["flux2-klein", "comfyui"]
    assert "diffusion_model.single_blocks.1.linear1.lora_A.weight" in named["flux2-klein", "comfyui"]
    assert "lora_unet_double_blocks_0_txt_mlp_2.alpha" in named["flux2-klein", "kohya"]


def test_a_layer_left_out_of_three_that_others_hold_as_one_gains_nothing(models: Any, tmp_path: Path) -> None:
    made = Made("flux2-klein", models, tmp_path / "whole")
    network = made.network()
    roles = attach_(network, Shape(("attn.to_q", "attn.to_v"), RANK, ALPHA), teacher="frozen", seed=0)
    for weight in roles.student.values():
        weight.data += 0.1
    save_adapter(network, tmp_path / "two", made.family.pipeline)
    export_adapter(tmp_path / "two", made.family, "comfyui", tmp_path / "out" / FILE)
    after = made.deltas(tmp_path / "out" / FILE)
    for name, delta in made.deltas(tmp_path / "two" / FILE).items():
        torch.testing.assert_close(after[name], delta)
    assert all(not delta.any() for name, delta in after.items() if name.endswith("to_k"))


def test_diffusers_own_form_is_the_file_itself(made: Made, tmp_path: Path) -> None:
    export_adapter(made.folder, made.family, "diffusers", tmp_path / "deep" / "same.safetensors")
    assert (tmp_path / "deep" / "same.safetensors").read_bytes() == (made.folder / FILE).read_bytes()


def test_the_original_names_of_all_weights_lead_back_through_diffusers_converter(made: Made) -> None:
    weights = made.network().state_dict()
    named = original(dict(weights), LAYOUTS[made.family.name])
    back = REFEREES[made.family.name](dict(named))
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], weight) for name, weight in weights.items())


@pytest.mark.parametrize("is_dora", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_merge_answers_as_the_network_that_wears_the_adapter(
    *, name: str, is_dora: bool, models: Any, tmp_path: Path
) -> None:
    made = Made(name, models, tmp_path / "adapter", is_dora=is_dora)
    wearing, merged = made.network(), made.network()
    load_adapter_(wearing, made.folder, made.family.pipeline, name="worn")
    wearing.fuse_lora(adapter_names=["worn"])
    wearing.unload_lora()
    merge_(merged, made.folder, made.family.pipeline)
    expected = dict(wearing.named_parameters())
    assert {key for key, weight in merged.named_parameters() if not torch.equal(weight, expected[key])} == set()
    export_merged(merged, made.family, "diffusers", tmp_path / "whole")
    again = read_whole(made.network(), tmp_path / "whole")
    assert all(torch.equal(weight, expected[key]) for key, weight in again.items())
    export_merged(merged, made.family, "comfyui", tmp_path / "one.safetensors")
    back = REFEREES[name](load_file(tmp_path / "one.safetensors"))
    assert all(torch.equal(back[key], weight) for key, weight in expected.items())


def test_bf16_keeps_what_is_large_and_loses_what_is_small(models: Any, tmp_path: Path) -> None:
    made = Made("z-image", models, tmp_path / "adapter")
    kept = []
    for factor in (1e-4, 1.0, 1e4):
        network = made.network()
        load_adapter_(network, made.folder, made.family.pipeline, name="x")
        for key, weight in network.named_parameters():
            if ".lora_B." in key:
                weight.data *= factor
        save_adapter(network, tmp_path / str(factor), made.family.pipeline, name="x")
        kept.append(merge_(made.network(), tmp_path / str(factor), made.family.pipeline))
    assert kept[0].changed < 0.05 < 0.3 < kept[1].changed < kept[2].changed
    assert kept[2].error < 0.01 < kept[1].error < 0.9 < kept[0].error


def test_what_cannot_be_exported_is_refused_with_the_reason(models: Any, tmp_path: Path) -> None:
    dora = Made("z-image", models, tmp_path / "dora", is_dora=True)
    with pytest.raises(ValueError, match=r"is a DoRA.*--merged"):
        export_adapter(dora.folder, dora.family, "comfyui", tmp_path / "x.safetensors")
    export_adapter(dora.folder, dora.family, "diffusers", tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="no 'a1111'; choose one of diffusers, comfyui, kohya"):
        export_adapter(dora.folder, dora.family, "a1111", tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="kohya is a form of adapters"):
        export_merged(dora.network(), dora.family, "kohya", tmp_path / "x.safetensors")
    with pytest.raises(FileNotFoundError, match="has no pytorch_lora_weights"):
        export_adapter(tmp_path, dora.family, "comfyui", tmp_path / "x.safetensors")
