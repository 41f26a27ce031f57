"""Every metric and benchmark by name; one is imported when it is asked for, and nothing with it.

>>> metric("dino_d")("models/tiny-dino").distances([picture], [target])
"""

from importlib import import_module
from typing import Any

_WHERE = {
    "dino_d": ("dopsd.metrics.likeness", "DinoDistance"),
    "clip_s": ("dopsd.metrics.faithfulness", "ClipScore"),
    "lpips_d": ("dopsd.metrics.perceptual", "PerceptualDistance"),
    "inception": ("dopsd.metrics.inception", "InceptionFeatures"),
    "frechet": ("dopsd.metrics.frechet", "FrechetDistance"),
    "kid": ("dopsd.metrics.kernel", "KernelDistance"),
    "diversity": ("dopsd.metrics.diversity", "Diversity"),
    "judge": ("dopsd.metrics.judge", "Judge"),
    "vlm_j": ("dopsd.metrics.consistency", "Consistency"),
    "rating": ("dopsd.metrics.rating", "Rating"),
    "segmenter": ("dopsd.metrics.segmenter", "Segmenter"),
    "geneval_orders": ("dopsd.metrics.geneval", "orders"),
    "dpg_items": ("dopsd.metrics.dense_prompt", "items"),
    "geneval": ("dopsd.metrics.geneval", "GenEval"),
    "dpg": ("dopsd.metrics.dense_prompt", "DensePromptScore"),
}


def metric(name: str) -> Any:
    """Return what is called `name`, a class or what reads a benchmark; raises ValueError listing the known ones."""
    if name not in _WHERE:
        raise ValueError(f"there is no metric {name!r}: choose one of {', '.join(_WHERE)}")
    module, kind = _WHERE[name]
    return getattr(import_module(module), kind)
