"""Draw one picture, with the base or with any registered adapter, in the steps it is deployed with.

dopsd sample --model champion --prompt "a [V] on a blue background" --out x.png
"""

from pathlib import Path

from PIL import Image

from dopsd.adapter import load_adapter_, wearing
from dopsd.families.catalogue import family
from dopsd.placement import fastest
from dopsd.sampling import sample
from tasks.params import Params


def picture(params: Params, prompt: str, seed: int, adapter: Path | None) -> Image.Image:
    """Draw `prompt` from the noise of `seed`; `adapter` is a folder, None is the bare base."""
    line, side = family(params.models.family), params.embed.image_side_px
    encoder = line.load_encoder(params.models.base, params.models.vlm, fastest())
    latent_shape = encoder.latents([Image.new("RGB", (side, side))]).shape[1:]
    denoiser = line.load_denoiser(params.models.base, fastest())
    if adapter is not None:
        load_adapter_(denoiser.network, adapter, line.pipeline, name="adapter")
    steps = params.train.num_steps
    with wearing(denoiser.network, "adapter" if adapter else None):
        contexts = encoder.student_contexts([prompt])
        latents = sample(denoiser, contexts, [seed], latent_shape=latent_shape, num_steps=steps)
    return encoder.pictures(latents)[0]
