"""Pictures to latents and back through a pipeline's own autoencoder, a few at a time; each family says by what formula.

>>> encoded(pipeline, 16, images, lambda seen: pipeline.vae.encode(seen).latent_dist.mode())  # (n, c, h, w)
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from dopsd.dataset.batching import ROWS

Formula = Callable[[Tensor], Tensor]


def encoded(pipeline: Any, multiple: int, images: Sequence[Image], formula: Formula) -> Tensor:
    """Encode RGB pictures of one size, (n, 3, H, W) at a time in the autoencoder's dtype; fp32 on the CPU.

    Raises ValueError for mixed sizes or for sides that are no multiple of `multiple`.
    """
    sizes = {image.size for image in images}
    if len(sizes) != 1 or any(side % multiple for side in images[0].size):
        raise ValueError(f"pictures of {sorted(sizes)} px: give one size, its sides multiples of {multiple} px")
    vae, processor = pipeline.vae, pipeline.image_processor
    rows = []
    for start in range(0, len(images), ROWS):
        seen = processor.preprocess(list(images[start : start + ROWS])).to(vae.device, vae.dtype)
        rows.append(formula(seen))
    return torch.cat(rows).float().cpu()


def decoded(pipeline: Any, latents: Tensor, formula: Formula) -> list[Image]:
    """Decode latents, which the formula makes what the autoencoder takes, as the pipeline does at its end."""
    vae, pictures = pipeline.vae, list[Image]()
    for some in latents.split(ROWS):
        drawn = vae.decode(formula(some.to(vae.device, vae.dtype)), return_dict=False)[0]
        pictures += pipeline.image_processor.postprocess(drawn, output_type="pil")
    return pictures
