"""Draw one picture, with the base or with any registered version, in the steps it is deployed with.

dopsd sample --model champion --prompt "a [V] on a blue background" --out x.png
"""

from pathlib import Path

from PIL import Image

from dopsd.families.catalogue import family
from dopsd.placement import fastest
from dopsd.sampling import sample
from tasks.cast import load_cast
from tasks.params import Params


def picture(params: Params, prompt: str, seed: int, tuned: Path | None) -> Image.Image:
    """Draw `prompt` from the noise of `seed`; `tuned` is a folder with what was trained, None is the bare base."""
    line, side = family(params.models.family), params.embed.image_side_px
    encoder = line.load_encoder(params.models.base, params.models.vlm, fastest())
    latent_shape = encoder.latents([Image.new("RGB", (side, side))]).shape[1:]
    cast = load_cast(params, Path(params.models.base), {"tuned": tuned} if tuned else {})
    steps = params.train.num_steps
    with cast.speaking("tuned" if tuned else "base") as denoiser:
        contexts = encoder.student_contexts([prompt])
        latents = sample(denoiser, contexts, [seed], latent_shape=latent_shape, num_steps=steps)
    return encoder.pictures(latents)[0]
