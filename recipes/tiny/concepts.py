"""Concepts to compare methods on: folders of pictures that no tiny model has seen, and what to ask for of each.

python -m recipes.tiny.concepts data/concepts 16
"""

import sys
from pathlib import Path
from random import Random

import yaml

from recipes.tiny.architecture import SIDE
from recipes.tiny.drawing import draw
from recipes.tiny.pictures import as_image
from recipes.tiny.samples import CONCEPT
from recipes.tiny.world import PLACEHOLDER, Concept, all_concepts, caption, scene_of

PICTURES, CAPTIONED, NOVEL = 8, 5, 8


def write_concepts(folder: Path, count: int) -> None:
    """Draw `count` concepts, none of them that of the sample folder: the first ones are the same for every count."""
    unseen = [one for one in all_concepts(unseen=True) if one.is_unseen_by_sight and one != CONCEPT]
    for number, concept in enumerate(Random("concepts").sample(unseen, len(unseen))[:count]):
        name = f"{number:02d}-{concept.words().replace(' ', '-')}"
        _write(folder, name, concept, Random(name))


def _write(folder: Path, name: str, concept: Concept, rng: Random) -> None:
    scenes = [scene_of(concept, rng) for _ in range(PICTURES)]
    (folder / name).mkdir(parents=True, exist_ok=True)
    for index, (scene, image) in enumerate(zip(scenes, draw(scenes, SIDE), strict=True)):
        as_image(image).save(folder / name / f"{index}.png")
        if index < CAPTIONED:
            text = caption(scene, rng, f"{PLACEHOLDER} {concept.shape}")
            (folder / name / f"{index}.txt").write_text(text + "\n", encoding="utf-8")
    novel: dict[str, None] = {}
    while len(novel) < NOVEL:
        novel[caption(scene_of(concept, rng), rng, PLACEHOLDER)] = None
    sheet = yaml.safe_dump({"class_noun": concept.shape, "novel": list(novel)}, sort_keys=False)
    (folder / f"{name}.yaml").write_text(sheet, encoding="utf-8")


if __name__ == "__main__":
    write_concepts(Path(sys.argv[1]), int(sys.argv[2]))
