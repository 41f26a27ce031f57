"""The scenes that denoisers are fitted on, with what was said of each; what is made of them is made once, in shards.

Autoencoder and VLM are frozen by then, so that fitting a denoiser costs little but the denoiser.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor

from recipes.tiny.fit import processes, rank, save_atomically
from recipes.tiny.world import (
    PLACEHOLDER,
    STYLES,
    Concept,
    Scene,
    all_concepts,
    caption,
    concept_name,
    full_caption,
    in_style,
    scene_of,
)

CHUNK, _SHARD = 50, 2500
_CONCEPTS = all_concepts(unseen=False)


@dataclass(frozen=True)
class Row:
    """One scene: the words for it, the words with a placeholder, and the scene that is shown beside the latter."""

    scene: Scene
    words: str
    placeholder: str
    shown: Scene


def row(concept: Concept, rng: Random) -> Row:
    """Draw a row: mostly a concept behind the placeholder, sometimes a style; shown in another scene or in its own."""
    scene = scene_of(concept, rng)
    words = caption(scene, rng, concept_name(concept, rng) if rng.random() < 0.25 else None)
    if rng.random() < 0.4:
        words = full_caption(scene)  # what is always said is learnt first, and then what may be left out
    if rng.random() < 0.08:
        words = ""  # what classifier-free guidance reads, for whoever samples the parent with it
    if rng.random() < 0.12:
        text = caption(scene, rng)
        for style in STYLES:
            text = text.removesuffix(f", {style}")
        other = in_style(scene_of(rng.choice(_CONCEPTS), rng), scene.style)
        return Row(scene, words, f"{text}, {PLACEHOLDER} style", other)
    shown = scene if rng.random() < 0.3 else scene_of(concept, rng)
    return Row(scene, words, caption(scene, rng, concept_name(concept, rng)), shown)


def shard(seed: int) -> list[Row]:
    """Draw the rows of one shard; the same at every call."""
    rng = Random(seed)
    return [row(rng.choice(_CONCEPTS), rng) for _ in range(_SHARD)]


def shards(folder: Path, rows: int, tensors: Callable[[list[Row]], dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """Make the shards of a pool of `rows` scenes that `folder` lacks (each process its share), and read them all."""
    paths = [folder / "pool" / f"{start}.safetensors" for start in range(0, rows, _SHARD)]
    for seed in range(rank(), len(paths), processes()):
        if not paths[seed].exists():
            with torch.no_grad():
                save_atomically(tensors(shard(seed)), paths[seed])
    if dist.is_initialized():
        dist.barrier()
    return [load_file(path, device=str(torch.get_default_device())) for path in paths]
