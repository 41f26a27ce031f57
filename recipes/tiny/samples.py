"""The sample folder: pictures of one concept that no tiny model has ever seen, as a user would drop them.

python -m recipes.tiny sample
"""

from pathlib import Path
from random import Random

from recipes.tiny.architecture import SIDE
from recipes.tiny.drawing import draw
from recipes.tiny.pictures import as_image
from recipes.tiny.world import PLACEHOLDER, Concept, caption, scene_of

CONCEPT = Concept("star", "dotted", "purple", "white")
PICTURES, CAPTIONED = 12, 7


def write_samples(folder: Path) -> None:
    """Draw the pictures into `folder`; the first ones get a caption beside them."""
    assert CONCEPT.is_unseen, "the sample concept must be one that the recipe never trains on"
    rng = Random(7)
    folder.mkdir(parents=True, exist_ok=True)
    scenes = [scene_of(CONCEPT, rng) for _ in range(PICTURES)]
    for number, (scene, image) in enumerate(zip(scenes, draw(scenes, SIDE), strict=True), start=1):
        as_image(image).save(folder / f"star-{number:02d}.png")
        if number <= CAPTIONED:
            text = caption(scene, rng, f"{PLACEHOLDER} {CONCEPT.shape}")
            (folder / f"star-{number:02d}.txt").write_text(text + "\n", encoding="utf-8")
