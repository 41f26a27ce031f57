"""What is read of a batch before anything is learnt of it: contexts of student and teacher, and latents.

>>> works("z-image", "tiny", batch=4, side_px=64, placement=CPU)["teacher"]()

Captions have a hundred letters, a token each, and are all alike in length: batches are full.
"""

from collections.abc import Callable, Mapping

import torch
from PIL import Image

from dopsd.bench.encoders import encoder_side
from dopsd.bench.models import SizeName
from dopsd.placement import Placement

_LETTERS = 100


def works(
    model: str, size: SizeName, *, batch: int, side_px: int, placement: Placement
) -> Mapping[str, Callable[[], object]]:
    """Say what is done for each kind of entry, of random pictures by models of random weights."""
    encoder = encoder_side(model, size, placement)
    captions = ["a" * _LETTERS] * batch
    pixels = torch.randint(256, (batch, side_px, side_px, 3), dtype=torch.uint8)
    images = [Image.fromarray(one.numpy()) for one in pixels]
    return {
        "student": lambda: encoder.student_contexts(captions),
        "teacher": lambda: encoder.teacher_contexts(captions, images),
        "latents": lambda: encoder.latents(images),
    }
