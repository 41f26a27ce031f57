"""FLUX.2-klein at our door: the record, and the denoiser side; the encoder side is `flux2_klein_encoder`.

>>> family("flux2-klein").load_denoiser("models/tiny-flux2-klein").sigmas(4, (32, 5, 5))  # 1.0, 0.955, 0.875, 0.7, 0.0

Its time and velocity run as ours do. Latents are what the transformer reads: patches of 2 x 2 put into the channels,
normalised by the autoencoder's running statistics. A reference picture stands as tokens behind the noise.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu, retrieve_timesteps
from torch import Tensor

from dopsd.dataset.batching import rows_alike
from dopsd.families.flux2_klein_encoder import load_decoder, load_encoder
from dopsd.family import Context, Family
from dopsd.placement import CPU, Placement
from dopsd.pretrained import load, load_placed
from dopsd.processes.sharding import is_sharded


class Flux2KleinDenoiser:
    """The transformer and the scheduler of FLUX.2-klein; no VAE, no text encoder."""

    def __init__(self, network: Flux2Transformer2DModel, scheduler: FlowMatchEulerDiscreteScheduler) -> None:
        """Take a loaded network and the scheduler that lies beside it."""
        self.network = network
        self._scheduler = scheduler

    def sigmas(self, num_steps: int, latent_shape: Sequence[int]) -> Tensor:
        """List the noise levels of inference, shape (num_steps + 1,), 1 to 0.

        The pipeline gives its scheduler both a shift by the number of tokens and an even grid; the scheduler's own grid
        is another one, which inference never visits.
        """
        height, width = latent_shape[-2:]
        even = None if self._scheduler.config.get("use_flow_sigmas") else np.linspace(1.0, 1 / num_steps, num_steps)
        shift = compute_empirical_mu(image_seq_len=height * width, num_steps=num_steps)
        retrieve_timesteps(self._scheduler, num_steps, "cpu", sigmas=even, mu=shift)
        return torch.as_tensor(self._scheduler.sigmas).clone()

    def velocity(self, x: Tensor, sigma: Tensor, contexts: Sequence[Context]) -> Tensor:
        """Predict d(latents)/d(sigma), fp32, at latents `x` (n, c, h, w).

        Rows whose contexts have one shape go together: the network knows no mask. Raises ValueError for a reference
        that has not the channels of `x`, and for several shapes where processes share the weights: they gather them
        together, so none may walk through the network more often than another.
        """
        for context in contexts:
            if context.reference is not None and context.reference.shape[0] != x.shape[1]:
                shape = tuple(context.reference.shape)
                raise ValueError(f"a reference of shape {shape} for latents of {x.shape[1]} channels: embed it again")
        time = (sigma.to(x.device) * 1000 / 1000).expand(len(x))  # the pipeline's own rounding
        parts, order, shapes = [], list[int](), [_shape(context) for context in contexts]
        if len(set(shapes)) > 1 and is_sharded(dict(self.network.named_parameters())):
            raise ValueError(f"contexts of shapes {sorted(set(shapes))} in a batch: embed all alike, or unset sharded")
        for rows in rows_alike(shapes, most=len(x)):
            parts.append(self._velocity(x[rows], time[rows], [contexts[row] for row in rows]))
            order += rows
        return torch.cat(parts)[torch.tensor(order, device=x.device).argsort()]

    def _velocity(self, x: Tensor, time: Tensor, contexts: Sequence[Context]) -> Tensor:
        """Answer for rows with contexts of one shape; noise tokens come first, and only they are answered for."""
        device, dtype = x.device, self.network.dtype
        tokens = torch.stack([context.tokens for context in contexts]).to(device, dtype)
        # Positions are the same in every row, and the network reads those of the first.
        places = [Flux2KleinPipeline._prepare_latent_ids(x[:1])]
        pictures = [x]
        if contexts[0].reference is not None:
            pictures.append(torch.stack([_reference(context) for context in contexts]).to(x))
            places.append(Flux2KleinPipeline._prepare_image_ids([pictures[1][:1]]))
        flown = self.network(
            hidden_states=torch.cat([Flux2KleinPipeline._pack_latents(one) for one in pictures], dim=1).to(dtype),
            timestep=time,
            encoder_hidden_states=tokens,
            txt_ids=Flux2KleinPipeline._prepare_text_ids(tokens[:1]).to(device),
            img_ids=torch.cat(places, dim=1).to(device),
            return_dict=False,
        )[0]
        return flown[:, : x.shape[2] * x.shape[3]].float().mT.reshape(x.shape)


def _shape(context: Context) -> tuple[int, ...]:
    return (len(context.tokens), *(() if context.reference is None else context.reference.shape))


def _reference(context: Context) -> Tensor:
    assert context.reference is not None, "rows of one shape have a reference all or none"
    return context.reference


def load_denoiser(base: str | Path, placement: Placement = CPU) -> Flux2KleinDenoiser:
    """Load transformer and scheduler from a directory in the hub's layout, or a hub id. Raises FileNotFoundError."""
    network = load_placed(Flux2Transformer2DModel, base, "transformer", placement)
    scheduler = load(FlowMatchEulerDiscreteScheduler, base, "scheduler")
    return Flux2KleinDenoiser(network, scheduler)


FAMILY = Family(
    name="flux2-klein",
    lora_targets=(
        "attn.to_q",
        "attn.to_k",
        "attn.to_v",
        "attn.to_out.0",
        "attn.add_q_proj",
        "attn.add_k_proj",
        "attn.add_v_proj",
        "attn.to_add_out",
        "ff.linear_in",
        "ff.linear_out",
        "ff_context.linear_in",
        "ff_context.linear_out",
        "attn.to_qkv_mlp_proj",
        "attn.to_out",
    ),
    pipeline=Flux2KleinPipeline,
    load_encoder=load_encoder,
    load_decoder=load_decoder,
    load_denoiser=load_denoiser,
)
