"""Pictures as numbers.

>>> pixels([picture]).shape  # (1, 3, height, width)
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor


def pixels(images: Sequence[Image]) -> Tensor:
    """Stack pictures of one size as RGB in [0, 1], shape (n, 3, height, width). Raises ValueError for mixed sizes."""
    sizes = {image.size for image in images}
    if len(sizes) != 1:
        raise ValueError(f"pictures of {sorted(sizes)} px: measure pictures of one size together")
    return torch.stack([torch.from_numpy(np.array(image.convert("RGB"))) for image in images]).movedim(-1, 1) / 255
