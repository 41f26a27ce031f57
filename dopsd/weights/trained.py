"""How what was trained lies in a folder: an adapter is one file, all weights are a folder of their own; no torch.

>>> is_whole(Path("data/adapter"))  # False: it holds an adapter
"""

from pathlib import Path

FILE = "pytorch_lora_weights.safetensors"
FOLDER = "transformer"


def is_whole(folder: Path) -> bool:
    """Tell whether a folder holds all weights rather than an adapter."""
    return (folder / FOLDER).is_dir()
