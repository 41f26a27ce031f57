"""Z-Image at our door: the record, and the denoiser side; the encoder side is `z_image_encoder`.

>>> family("z-image").load_denoiser("models/tiny-z-image").sigmas(4, (8, 10, 10))  # 1.0, 0.9, 0.75, 0.5, 0.0

Z-Image's own time runs from 0 (noise) to 1 (image) and its velocity points at the image: both are turned here.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from diffusers.pipelines.z_image.pipeline_z_image import (
    calculate_shift,
    get_default_z_image_sigmas,
    retrieve_timesteps,
)
from torch import Tensor

from dopsd.families.z_image_encoder import load_decoder, load_encoder
from dopsd.family import Context, Family
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load, load_placed


class ZImageDenoiser:
    """The transformer and the scheduler of Z-Image; no VAE, no text encoder."""

    def __init__(self, network: ZImageTransformer2DModel, scheduler: FlowMatchEulerDiscreteScheduler) -> None:
        """Take a loaded network and the scheduler that lies beside it."""
        self.network = network
        self._scheduler = scheduler

    def sigmas(self, num_steps: int, latent_shape: Sequence[int]) -> Tensor:
        """List the noise levels of inference by the installed pipeline's own code, shape (num_steps + 1,), 1 to 0."""
        config, (height, width) = self._scheduler.config, latent_shape[-2:]
        shift = calculate_shift(
            (height // 2) * (width // 2),
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.15),
        )
        retrieve_timesteps(
            self._scheduler, num_steps, sigmas=get_default_z_image_sigmas(num_steps), mu=shift, device="cpu"
        )
        return torch.as_tensor(self._scheduler.sigmas).clone()

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Sequence[Context]) -> Tensor:
        """Predict d(latents)/d(sigma), fp32, at latents `x` (n, c, h, w); contexts may differ in length.

        Raises ValueError for a context with reference latents: this network has no branch that reads them.
        """
        if any(context.reference is not None for context in contexts):
            raise ValueError("Z-Image reads tokens only: make contexts without reference latents for this family")
        dtype = self.network.dtype
        # The pipeline's own rounding: timesteps are 1000 sigma, turned into (1000 - timestep) / 1000.
        time = ((1000 - sigma.to(x.device) * 1000) / 1000).expand(len(x))
        flown = self.network(
            list(x.to(dtype).unsqueeze(2)),
            time,
            [context.tokens.to(x.device, dtype) for context in contexts],
            return_dict=False,
        )[0]
        return -torch.stack([row.float() for row in flown]).squeeze(2)


def load_denoiser(base: str | Path, placement: Placement = CPU) -> ZImageDenoiser:
    """Load transformer and scheduler from a directory in the hub's layout, or a hub id. Raises FileNotFoundError."""
    network = load_placed(ZImageTransformer2DModel, base, "transformer", placement)
    scheduler = load(FlowMatchEulerDiscreteScheduler, base, "scheduler")
    return ZImageDenoiser(network, scheduler)


FAMILY = Family(
    name="z-image",
    lora_targets=(
        "attention.to_q",
        "attention.to_k",
        "attention.to_v",
        "attention.to_out.0",
        "feed_forward.w1",
        "feed_forward.w2",
        "feed_forward.w3",
    ),
    pipeline=ZImagePipeline,
    load_encoder=load_encoder,
    load_decoder=load_decoder,
    load_denoiser=load_denoiser,
)
