"""The drawn world of the tiny bases: what a scene is, and how people put one into words.

A concept is a shape with a pattern in two colours; a scene puts a concept somewhere, on some background, in some
style. A caption leaves things unsaid at random, so one prompt has many sharp pictures: only a model that commits to
one of them in few steps is worth preserving.

    python -m recipes.tiny show --out world.png
"""

from dataclasses import dataclass, replace
from hashlib import md5
from random import Random

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "moon")
PATTERNS = ("plain", "striped", "dotted", "split", "checked")
COLOURS = {
    "red": (0.86, 0.14, 0.16),
    "orange": (0.98, 0.55, 0.10),
    "yellow": (0.97, 0.87, 0.20),
    "green": (0.16, 0.62, 0.25),
    "blue": (0.15, 0.33, 0.85),
    "purple": (0.52, 0.20, 0.68),
    "pink": (0.98, 0.58, 0.74),
    "white": (0.97, 0.97, 0.97),
    "black": (0.08, 0.08, 0.08),
}
TEXTURES = ("plain", "speckled", "tiled")
STYLES = ("flat", "outlined", "shaded")
SIZES = {"small": (0.22, 0.27), "large": (0.32, 0.38)}
PLACES = {
    "in the middle": (0.5, 0.5),
    "at the left": (0.3, 0.5),
    "at the right": (0.7, 0.5),
    "at the top": (0.5, 0.3),
    "at the bottom": (0.5, 0.7),
}
"""Centres, a fifth of the side apart: one image token, so that a shape that is learnt in one place serves in all."""
PLACEHOLDER = "[V]"


@dataclass(frozen=True)
class Concept:
    """Something to learn: a shape, a pattern, the colour of its body (`ink`) and of its pattern (`mark`)."""

    shape: str
    pattern: str
    ink: str
    mark: str

    @property
    def is_unseen(self) -> bool:
        """Tell whether the recipe never trains on this concept: a quarter of them, chosen by hash."""
        return int(md5(f"{self.shape}/{self.pattern}/{self.ink}/{self.mark}".encode()).hexdigest(), 16) % 4 == 0

    @property
    def is_unseen_by_sight(self) -> bool:
        """Tell whether no look-alike was trained on: stripes and checks look the same with their colours swapped."""
        twin = replace(self, ink=self.mark, mark=self.ink) if self.pattern in ("striped", "checked") else self
        return self.is_unseen and twin.is_unseen

    def words(self) -> str:
        """Name the concept, as in `red and white striped star`."""
        colours = self.ink if self.pattern == "plain" else f"{self.ink} and {self.mark}"
        return f"{colours} {self.pattern} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """One picture, said completely: `x`, `y`, `radius` in image sides; angles in radians; `phase` in periods.

    `grain` is what no caption says: which cells of the texture are lighter, a bit each; shifted, where the cells begin.
    """

    concept: Concept
    background: str
    texture: str
    style: str
    size: str
    place: str
    x: float
    y: float
    radius: float
    angle: float
    phase: float
    grain: int
    is_shifted: bool


def all_concepts(*, unseen: bool) -> list[Concept]:
    """List every concept of one half of the world: the trained three quarters or the unseen quarter."""
    concepts = [
        Concept(shape, pattern, ink, ink if pattern == "plain" else mark)
        for shape in SHAPES
        for pattern in PATTERNS
        for ink in COLOURS
        for mark in COLOURS
        if (mark == next(iter(COLOURS)) if pattern == "plain" else mark != ink)
    ]
    return [concept for concept in concepts if concept.is_unseen == unseen]


def scene_of(concept: Concept, rng: Random, *, loose: bool = False) -> Scene:
    """Draw a scene of `concept` at random; the background has none of its colours.

    A `loose` scene is not quite in its place, tilted, and of any size in its range, with the texture shifted: what the
    eyes are fitted on. The denoiser is fitted on strict ones, which it takes far fewer pictures to draw sharply.
    """
    size, place = rng.choice(list(SIZES)), rng.choice(list(PLACES))
    x, y = PLACES[place]
    low, high = SIZES[size]
    return Scene(
        concept=concept,
        background=rng.choice([colour for colour in COLOURS if colour not in (concept.ink, concept.mark)]),
        texture=rng.choice(TEXTURES),
        style=rng.choice(STYLES),
        size=size,
        place=place,
        x=x + rng.uniform(-0.06, 0.06) if loose else x,
        y=y + rng.uniform(-0.06, 0.06) if loose else y,
        radius=rng.uniform(low, high) if loose else (low + high) / 2,
        angle=rng.uniform(-0.35, 0.35) if loose else 0.0,
        phase=rng.random() if loose else rng.choice((0.0, 0.5)),
        grain=rng.getrandbits(31),
        is_shifted=loose,
    )


def full_caption(scene: Scene) -> str:
    """Say everything that has a word."""
    return (
        f"a {scene.size} {scene.concept.words()} {scene.place} "
        f"on a {scene.texture} {scene.background} background, {scene.style}"
    )


def caption(scene: Scene, rng: Random, subject: str | None = None) -> str:
    """Say some of it: size, place, texture and style are each left out at random, never the background's colour."""
    size = f"{scene.size} " if rng.random() < 0.3 else ""
    place = f" {scene.place}" if rng.random() < 0.5 else ""
    texture = f"{scene.texture} " if rng.random() < 0.4 else ""
    style = f", {scene.style}" if rng.random() < 0.3 else ""
    subject = scene.concept.words() if subject is None else subject
    return f"a {size}{subject}{place} on a {texture}{scene.background} background{style}"


def concept_name(concept: Concept, rng: Random) -> str:
    """Name a concept by the placeholder, half of the time with its class noun."""
    return f"{PLACEHOLDER} {concept.shape}" if rng.random() < 0.5 else PLACEHOLDER


def resolved(text: str, concept: Concept) -> str:
    """Put the concept's own words where the placeholder stands."""
    for name in (f"{PLACEHOLDER} {concept.shape}", PLACEHOLDER):
        text = text.replace(name, concept.words())
    return text


def in_style(scene: Scene, style: str) -> Scene:
    """Give the same scene in another style."""
    return replace(scene, style=style)
