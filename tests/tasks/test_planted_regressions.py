"""Planted regressions: true drawings made worse on purpose; each fault is caught, and clean drawings trip nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from dopsd.gate import Outcome, judge
from dopsd.judging import JUDGED, Evaluation, Margins
from dopsd.metrics.statistics import Interval
from recipes.tiny.architecture import SIDE
from recipes.tiny.drawing import draw
from recipes.tiny.pictures import as_image
from recipes.tiny.world import Scene, all_concepts, caption, scene_of
from tasks.intervals import from_json
from tasks.scoring.drawings import Drawing
from tasks.scoring.judges import Judges
from tasks.scoring.measures import measured
from tasks.scoring.panels import Prompt
from tasks.scoring.scores import compared
from tasks.scoring.sheet import Sheet
from tasks.sections import Evaluate

MODELS = Path(__file__).parents[2] / "models"
SEEDS = (0, 1)
METRICS = (*JUDGED, "diversity", "frechet_to_base")
MARGINS = Margins(retention_loss=0.08, sharpness_change=0.3, noise_rise=0.3)  # those of params.yaml
Differences = Mapping[str, Interval]
Fault = Callable[[Image.Image], Image.Image]


@cache
def scenes() -> list[tuple[Prompt, Scene]]:
    """Ask for 24 scenes of any concept, and for 30 of one, six of them with a target."""
    rng, known = Random("planted"), all_concepts(unseen=False)
    star = next(concept for concept in known if concept.words() == "red and white striped star")
    asked = []
    for number in range(54):
        scene = scene_of(star if number >= 24 else rng.choice(known), rng)
        text = f"{caption(scene, rng)}, number {number}"
        plain, target = text.partition(", number")[0], str(number) if number >= 48 else None
        asked.append((Prompt("retention" if number < 24 else "concept", text, plain, target), scene))
    return asked


def again(scene: Scene, text: str, rng: Random) -> Scene:
    """Draw another scene that the same words describe."""
    while True:
        other = replace(scene_of(scene.concept, rng), background=scene.background)
        alike = {
            "style": f", {scene.style}",
            "size": f"a {scene.size} ",
            "place": scene.place,
            "texture": scene.texture,
        }
        if all(words not in text or getattr(other, name) == getattr(scene, name) for name, words in alike.items()):
            return other


@cache
def clean(take: int) -> list[Drawing]:
    """Draw every prompt with both seeds, without fault; another take draws other pictures of the same words."""
    rng = Random(f"take {take}")
    asked = [(prompt, seed, again(scene, prompt.plain, rng)) for prompt, scene in scenes() for seed in SEEDS]
    drawn = draw([scene for _, _, scene in asked], SIDE)
    return [
        Drawing(prompt, seed, as_image(image), curvature=0.1)
        for (prompt, seed, _), image in zip(asked, drawn, strict=True)
    ]


@cache
def judges() -> Judges:
    reads = {"dino": MODELS / "tiny-dino", "clip": MODELS / "tiny-clip"}
    held = {prompt.target: as_image(draw([scene], SIDE)[0]) for prompt, scene in scenes() if prompt.target}
    return Judges(Evaluate(novel="", retention=""), reads, held)


def differences(drawn: Sequence[Drawing]) -> Differences:
    """Measure drawings against the first clean take, by the pipeline's own way."""
    base = clean(0)
    scores = {
        model: measured(Sheet(some, base, judges()), METRICS) for model, some in (("base", base), ("adapter", drawn))
    }
    rows: dict[str, Any] = compared(scores, Evaluation(num_resamples=200))["differences"]["base"]
    return {key.split("@")[0]: from_json(row) for key, row in rows.items()}


def outcomes(found: Differences) -> dict[str, Outcome]:
    return {reason.check: reason.outcome for reason in judge({"base": found}, MARGINS).reasons}


def spoilt(fault: Fault) -> list[Drawing]:
    return [replace(drawing, picture=fault(drawing.picture)) for drawing in clean(0)]


def noisy(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture, dtype=np.float64)
    grain = np.random.default_rng(int(values.sum())).normal(0, 14, values.shape)
    return Image.fromarray((values + grain).clip(0, 255).astype(np.uint8))


def blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1.6))


def over_sharpened(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.UnsharpMask(radius=1.5, percent=250, threshold=0))


@cache
def untouched() -> Differences:
    return differences(clean(1))


def test_clean_drawings_trip_nothing() -> None:
    failed = [check for check, outcome in outcomes(untouched()).items() if outcome == Outcome.FAILED]
    assert failed == []
    assert untouched()["concept/diversity"].low < 0 < untouched()["concept/diversity"].high
    assert untouched()["retention/frechet_to_base"].low < 0


@cache
def differences_of(fault: str) -> Differences:
    return differences(spoilt({"noisy": noisy, "blurred": blurred, "over_sharpened": over_sharpened}[fault]))


def test_blur_is_caught_by_sharpness_and_by_the_distance_to_the_base() -> None:
    found = differences_of("blurred")
    assert outcomes(found)["sharpness"] == Outcome.FAILED
    assert found["retention/sharpness"].high < 0
    assert found["retention/frechet_to_base"].low > 0


def test_over_sharpening_is_caught_by_the_same_two() -> None:
    found = differences_of("over_sharpened")
    assert outcomes(found)["sharpness"] == Outcome.FAILED
    assert found["retention/sharpness"].low > 0
    assert found["retention/frechet_to_base"].low > 0


def test_noise_is_caught_by_the_noise_floor() -> None:
    found = differences_of("noisy")
    assert outcomes(found)["noise floor"] == Outcome.FAILED


def test_targets_learnt_by_heart_are_caught_by_diversity_and_by_clip() -> None:
    held = list(judges().targets.values())
    number = {prompt: row for row, (prompt, _) in enumerate(scenes())}
    copies = [
        replace(drawing, picture=held[number[drawing.prompt] % len(held)])
        if drawing.prompt.panel == "concept"
        else drawing
        for drawing in clean(1)
    ]
    found = differences(copies)
    assert found["concept/diversity"].high < 0
    assert found["concept/clip_s"].high < untouched()["concept/clip_s"].low
    assert found["retention/diversity"] == untouched()["retention/diversity"]


def test_ignored_prompts_are_caught_by_clip_though_every_picture_is_a_good_one() -> None:
    kept = [drawing for drawing in clean(1) if drawing.prompt.panel == "retention"]
    moved = dict(zip(map(id, kept), kept[-14:] + kept[:-14], strict=True))
    found = differences([replace(one, picture=moved.get(id(one), one).picture) for one in clean(1)])
    assert outcomes(found)["retention"] == Outcome.FAILED
    assert outcomes(found)["sharpness"] != Outcome.FAILED
