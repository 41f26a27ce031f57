"""The networks that are measured: the published configurations and tiny ones, with random weights.

>>> denoiser = model("z-image").denoiser(model("z-image").network("tiny", CPU))
>>> examples = model("z-image").examples("tiny", side_px=80, count=4)

What weights hold changes neither speed nor memory, so none are fetched.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel, ZImageTransformer2DModel

from dopsd.dataset.examples import Example, Examples
from dopsd.families.flux2_klein import Flux2KleinDenoiser
from dopsd.families.z_image import ZImageDenoiser
from dopsd.family import Context, Denoiser, Network
from dopsd.placement import Placement

SizeName = Literal["full", "tiny"]


@dataclass(frozen=True)
class Size:
    """A network's configuration, and how many tokens its student and its teacher read beside the picture.

    `width` is that of a token; `has_reference` says that the teacher is shown the picture as latents, too.
    """

    config: Mapping[str, Any]
    width: int
    student_tokens: int
    teacher_tokens: int
    has_reference: bool = False


@dataclass(frozen=True)
class Model:
    """A model line with its sizes; one latent stands for `pixels` x `pixels` of the picture.

    Sides of pictures are multiples of `multiple` pixels.
    """

    family: str
    kind: Any
    door: Any
    scheduler: Mapping[str, Any]
    pixels: int
    sizes: Mapping[SizeName, Size]
    multiple: int = 16

    def network(self, size: SizeName, placement: Placement) -> Network:
        """Build the network where and how `placement` says, with random weights, frozen."""
        torch.manual_seed(0)
        with born(placement):
            return self.kind(**self.sizes[size].config).eval().requires_grad_(False)

    def denoiser(self, network: Network) -> Denoiser:
        """Give `network` the scheduler that the pipeline has."""
        scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=3.0, **self.scheduler)
        denoiser: Denoiser = self.door(network, scheduler)
        return denoiser

    def latent_shape(self, size: SizeName, side_px: int) -> tuple[int, int, int]:
        """Say the shape of the latents of a square picture; raises ValueError for a side that has none."""
        if side_px < 1 or side_px % self.multiple:
            raise ValueError(f"a picture of {side_px} pixels a side: give a multiple of {self.multiple}")
        channels = int(self.sizes[size].config["in_channels"])
        return channels, side_px // self.pixels, side_px // self.pixels

    def examples(self, size: SizeName, side_px: int, count: int) -> Examples:
        """Draw examples of this size at random, all of one shape."""
        about, shape = self.sizes[size], self.latent_shape(size, side_px)
        rng = torch.Generator().manual_seed(0)

        def drawn(*of: int) -> torch.Tensor:
            return torch.randn(of, generator=rng)

        rows = [
            Example(
                f"{number}",
                Context(drawn(about.student_tokens, about.width)),
                Context(drawn(about.teacher_tokens, about.width), drawn(*shape) if about.has_reference else None),
                drawn(*shape),
            )
            for number in range(count)
        ]
        return Examples(tuple(rows), "random")


@contextmanager
def born(placement: Placement) -> Iterator[None]:
    """Let modules be made in their place and number format at once: a copy in fp32 might not fit."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(placement.dtype)
    try:
        with placement.device:
            yield
    finally:
        torch.set_default_dtype(usual)


def _klein(double: int, single: int, heads: int, width: int) -> Mapping[str, Any]:
    shape = {"num_layers": double, "num_single_layers": single, "num_attention_heads": heads}
    return {**shape, "in_channels": 128, "joint_attention_dim": width, "guidance_embeds": False}


_Z_IMAGE: Mapping[SizeName, Size] = {
    # Tongyi-MAI/Z-Image-Turbo: the class's defaults, 6.15 B weights. A caption of 128 tokens; the VLM reads the same
    # and the 576 tokens of a picture of 768 x 768 px.
    "full": Size({"in_channels": 16}, 2560, student_tokens=128, teacher_tokens=128 + 576),
    "tiny": Size(
        {
            "in_channels": 8, "dim": 128, "n_layers": 5, "n_refiner_layers": 1, "n_heads": 4, "n_kv_heads": 4,
            "cap_feat_dim": 128, "axes_dims": [8, 12, 12], "axes_lens": [1024, 64, 64],
        },
        width=128,
        student_tokens=16,
        teacher_tokens=32,
    ),
}  # fmt: skip
_TINY_KLEIN = {"in_channels": 32, "attention_head_dim": 32, "axes_dims_rope": (8, 8, 8, 8)}
_VAE_HALVINGS = 3
"""So often the published autoencoders halve a picture."""
_DYNAMIC = {"use_dynamic_shifting": True}

MODELS: Mapping[str, Model] = {
    "z-image": Model("z-image", ZImageTransformer2DModel, ZImageDenoiser, {}, 8, _Z_IMAGE),
    # black-forest-labs/FLUX.2-klein-4B and -9B, 3.88 B and 9.08 B weights: a prompt is padded to 512 tokens, and the
    # teacher is shown the picture as reference latents, as many tokens as the noise.
    "flux2-klein-4b": Model(
        "flux2-klein", Flux2Transformer2DModel, Flux2KleinDenoiser, _DYNAMIC, 16,
        {
            "full": Size(_klein(5, 20, 24, 7680), 7680, 512, 512, has_reference=True),
            "tiny": Size({**_klein(1, 4, 4, 96), **_TINY_KLEIN}, 96, 16, 16, has_reference=True),
        },
    ),
    "flux2-klein-9b": Model(
        "flux2-klein", Flux2Transformer2DModel, Flux2KleinDenoiser, _DYNAMIC, 16,
        {
            "full": Size(_klein(8, 24, 32, 12288), 12288, 512, 512, has_reference=True),
            "tiny": Size({**_klein(2, 6, 4, 128), **_TINY_KLEIN}, 128, 16, 16, has_reference=True),
        },
    ),
}  # fmt: skip


def like(base: Path, family: str) -> Model:
    """Give the line of `family`, its full size configured as the model in the folder `base` is, and its pixels, too.

    Raises ValueError for a family that is not measured, FileNotFoundError where no configuration lies there.
    """
    about = next((about for about in MODELS.values() if about.family == family), None)
    if about is None:
        raise ValueError(f"family {family}: choose one of {', '.join({about.family for about in MODELS.values()})}")
    config, vae = (_configuration(base / part / "config.json") for part in ("transformer", "vae"))
    width = config.get("cap_feat_dim") or config["joint_attention_dim"]
    smaller = 2 ** (_VAE_HALVINGS + 1 - len(vae["block_out_channels"]))  # than the published autoencoder's pictures
    sizes: Mapping[SizeName, Size] = {"full": replace(about.sizes["full"], config=config, width=width)}
    return replace(about, sizes=sizes, pixels=about.pixels // smaller, multiple=about.multiple // smaller)


def _configuration(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: name a folder in the layout of the hub")
    return {key: value for key, value in json.loads(path.read_text()).items() if not key.startswith("_")}


def model(name: str) -> Model:
    """Look a model up; raises ValueError listing the known ones."""
    if name not in MODELS:
        raise ValueError(f"--family {name}: choose one of {', '.join(MODELS)}")
    return MODELS[name]
