"""Domains to tune all weights on: scenes of the world in styles that no tiny model has seen, and what to ask for.

python -m recipes.tiny.domains data/domains 5

A style is a rim in some colour around an object that is flat or shaded. Tints of the whole picture were tried, and
did not serve: the tiny autoencoder cannot paint them, and the tiny teacher does not see them.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

import torch
import yaml
from torch import Tensor

from recipes.tiny.architecture import SIDE
from recipes.tiny.drawing import draw
from recipes.tiny.pictures import as_image
from recipes.tiny.world import COLOURS, PLACEHOLDER, STYLES, Scene, all_concepts, caption, in_style, scene_of

PICTURES, NOVEL = 32, 8
DOMAINS: Mapping[str, tuple[str, str]] = {
    "comic": ("shaded", "black"),
    "sticker": ("flat", "white"),
    "gilded": ("shaded", "yellow"),
    "neon": ("flat", "pink"),
    "frosted": ("shaded", "white"),
}
"""The style of the world beneath, and the colour of the rim; the world's own rims are black, around flat objects."""
_KNOWN = all_concepts(unseen=False)
_DARK = 0.05  # the world's own rim


def write_domains(folder: Path, count: int) -> None:
    """Draw the first `count` domains: known concepts in an unknown style, every picture with its caption."""
    for name in list(DOMAINS)[:count]:
        _write(folder, name, Random(name))


def drawn(scenes: list[Scene], domain: str) -> Tensor:
    """Draw scenes in a domain's style, (scenes, 3, side, side) in [0, 1]."""
    beneath, colour = DOMAINS[domain]
    plain, flat, outlined = (
        draw([in_style(one, style) for one in scenes], SIDE) for style in (beneath, "flat", "outlined")
    )
    rim = ((flat - outlined) / (flat - _DARK).clamp_min(1e-3)).amax(1, keepdim=True).clamp(0, 1)
    return torch.lerp(plain, torch.tensor(COLOURS[colour])[:, None, None].expand_as(plain), rim)


def _write(folder: Path, name: str, rng: Random) -> None:
    scenes = [scene_of(rng.choice(_KNOWN), rng) for _ in range(PICTURES)]
    (folder / name).mkdir(parents=True, exist_ok=True)
    for index, (scene, image) in enumerate(zip(scenes, drawn(scenes, name), strict=True)):
        as_image(image).save(folder / name / f"{index:02d}.png")
        (folder / name / f"{index:02d}.txt").write_text(_caption(scene, rng) + "\n", encoding="utf-8")
    novel: dict[str, None] = {}
    while len(novel) < NOVEL:
        novel[f"{_caption(scene_of(rng.choice(_KNOWN), rng), rng)}, {PLACEHOLDER} style"] = None
    sheet = yaml.safe_dump({"class_noun": "flat", "kind": "style", "novel": list(novel)}, sort_keys=False)
    (folder / f"{name}.yaml").write_text(sheet, encoding="utf-8")


def _caption(scene: Scene, rng: Random) -> str:
    """Say the scene and leave its style unsaid: the tiny teacher sees little of it beside the words "[V] style"."""
    text = caption(scene, rng)
    for style in STYLES:
        text = text.removesuffix(f", {style}")
    return text


if __name__ == "__main__":
    write_domains(Path(sys.argv[1]), int(sys.argv[2]))
