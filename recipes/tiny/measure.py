"""Measure what the method needs of the tiny models, on scenes and concepts that the recipe never saw.

python -m recipes.tiny measure --family z-image        # writes docs/tiny-base.md and docs/tiny-base.json
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image as Blank
from PIL.Image import Image
from torch import Tensor

from dopsd.captioner import Captioner
from dopsd.families.catalogue import family
from dopsd.family import Context, Denoiser
from dopsd.metrics.faithfulness import ClipScore
from dopsd.metrics.few_step import sharpness
from dopsd.metrics.likeness import DinoDistance
from dopsd.metrics.statistics import Interval, interval, jackknife
from dopsd.sampling import sample
from recipes.tiny.architecture import SIDE
from recipes.tiny.drawing import draw
from recipes.tiny.pictures import as_image
from recipes.tiny.reading import WORDS, in_one_order, said, share_said
from recipes.tiny.tokens import DESCRIBE
from recipes.tiny.world import Scene, all_concepts, caption, concept_name, full_caption, scene_of

_UNSEEN = [concept for concept in all_concepts(unseen=True) if concept.is_unseen_by_sight]


@dataclass(frozen=True)
class Sheet:
    """One way of sampling, scored: means over prompts with 95 % intervals; `frechet` is to as many true drawings."""

    frechet: float
    follows_prompt: Interval
    clip_s: Interval
    sharpness: Interval


@dataclass(frozen=True)
class Numbers:
    """Everything that the document of a family says."""

    true_drawings: Sheet
    deployed_4_steps: Sheet
    parent_32_steps: Sheet
    parent_4_steps: Sheet
    deployed_strays: Interval
    parent_strays: Interval
    few_step_skill: Interval
    parent_blurs: Interval
    parent_is_farther: Interval
    deployed_is_farther: Interval
    teacher_distance: Interval
    student_distance: Interval
    teacher_gain: Interval
    teacher_names_concept: Interval
    student_names_concept: Interval
    captions_exact: Interval
    captions_by_attribute: dict[str, float]


class Bench:
    """The shipped models of a family, loaded once."""

    def __init__(self, name: str, models: Path) -> None:
        """Load what stands under `models`; raises FileNotFoundError naming what is missing."""
        line, base, vlm = family(name), models / f"tiny-{name}", models / "tiny-qwen3-vl"
        self.encoder = line.load_encoder(base, vlm)
        self.deployed = line.load_denoiser(base)
        self.parent = line.load_denoiser(models / f"tiny-{name}-parent")
        self.latent_shape = self.encoder.latents([Blank.new("RGB", (SIDE, SIDE))]).shape[1:]
        self.captioner, self.clip, self.dino = (
            Captioner(vlm),
            ClipScore(models / "tiny-clip"),
            DinoDistance(models / "tiny-dino"),
        )


def measure(name: str, models: Path, *, prompts: int = 96, concepts: int = 96, captions: int = 256) -> Numbers:
    """Measure all numbers of a family; the same seeds at every call, so that two calls on one machine agree exactly."""
    bench = Bench(name, models)
    return Numbers(**_few_steps(bench, prompts), **_in_context(bench, concepts), **_captions(bench, captions))


def _few_steps(bench: Bench, count: int) -> dict[str, Sheet | Interval]:
    """Draw the same prompts from the same noise four ways; 4 steps stray from what 32 would have drawn, or do not."""
    rng, known = Random("few steps"), all_concepts(unseen=False)
    scenes = [scene_of(rng.choice(known), rng) for _ in range(count)]
    texts = [caption(scene, rng) for scene in scenes]
    contexts, seeds = bench.encoder.student_contexts(texts), range(count)
    true = [as_image(image) for image in draw(scenes, SIDE)]
    reference = [as_image(image) for image in draw([scene_of(rng.choice(known), rng) for _ in range(4 * count)], SIDE)]
    features = bench.dino.features
    truth = features(reference)

    def scored(pictures: list[Image]) -> Sheet:
        read = bench.captioner.captions(pictures, DESCRIBE)
        return Sheet(
            frechet=_frechet(features(pictures), truth),
            follows_prompt=interval([share_said(text, caption) for text, caption in zip(texts, read, strict=True)]),
            clip_s=interval(bench.clip.scores(pictures, texts)),
            sharpness=interval(sharpness(pictures)),
        )

    def drawn(denoiser: Denoiser, steps: int) -> list[Image]:
        return bench.encoder.pictures(
            sample(denoiser, contexts, seeds, latent_shape=bench.latent_shape, num_steps=steps)
        )

    deployed, patient, hasty = drawn(bench.deployed, 4), drawn(bench.parent, 32), drawn(bench.parent, 4)
    near, far = bench.dino.distances(deployed, patient), bench.dino.distances(hasty, patient)
    return {
        "true_drawings": scored(true),
        "deployed_4_steps": scored(deployed),
        "parent_32_steps": scored(patient),
        "parent_4_steps": scored(hasty),
        "deployed_strays": interval(near),
        "parent_strays": interval(far),
        "few_step_skill": interval([b - a for a, b in zip(near, far, strict=True)]),
        "parent_blurs": interval([b - a for a, b in zip(sharpness(patient), sharpness(hasty), strict=True)]),
        "parent_is_farther": _farther(features(hasty), features(patient), truth),
        "deployed_is_farther": _farther(features(deployed), features(patient), truth),
    }


def _in_context(bench: Bench, count: int) -> dict[str, Interval]:
    """Show one picture of an unseen concept, ask for a new scene, and measure the distance to a true drawing of it."""
    rng = Random("in context")
    concepts = rng.sample(_UNSEEN, count)
    shown = [as_image(image) for image in draw([scene_of(concept, rng) for concept in concepts], SIDE)]
    wanted = [scene_of(concept, rng) for concept in concepts]
    texts = [caption(scene, rng, concept_name(scene.concept, rng)) for scene in wanted]
    ideal = [as_image(image) for image in draw(wanted, SIDE)]

    def drawn(contexts: Sequence[Context]) -> list[Image]:
        latents = sample(bench.deployed, contexts, range(count), latent_shape=bench.latent_shape, num_steps=4)
        return bench.encoder.pictures(latents)

    teacher, student = drawn(bench.encoder.teacher_contexts(texts, shown)), drawn(bench.encoder.student_contexts(texts))
    near, far = bench.dino.distances(teacher, ideal), bench.dino.distances(student, ideal)
    return {
        "teacher_distance": interval(near),
        "student_distance": interval(far),
        "teacher_gain": interval([b - a for a, b in zip(near, far, strict=True)]),
        "teacher_names_concept": interval(_names(bench, teacher, wanted)),
        "student_names_concept": interval(_names(bench, student, wanted)),
    }


def _names(bench: Bench, pictures: list[Image], scenes: list[Scene]) -> list[float]:
    """Let the captioner read each picture, and count the share of the concept's words that it repeats."""
    read = bench.captioner.captions(pictures, DESCRIBE)
    return [share_said(scene.concept.words(), text) for scene, text in zip(scenes, read, strict=True)]


def _captions(bench: Bench, count: int) -> dict[str, object]:
    """Caption true drawings of unseen concepts."""
    rng = Random("captions")
    scenes = [scene_of(rng.choice(_UNSEEN), rng) for _ in range(count)]
    read = bench.captioner.captions([as_image(image) for image in draw(scenes, SIDE)], DESCRIBE)
    pairs = [(in_one_order(full_caption(scene)), in_one_order(text)) for scene, text in zip(scenes, read, strict=True)]
    by_attribute = {
        name: float(np.mean([said(truth, words) == said(text, words) for truth, text in pairs]))
        for name, words in WORDS.items()
    }
    return {"captions_exact": interval([float(a == b) for a, b in pairs]), "captions_by_attribute": by_attribute}


def _farther(ours: Tensor, theirs: Tensor, truth: Tensor) -> Interval:
    """Say how much farther from true drawings ours are than theirs; both follow the same prompts."""

    def gap(rows: Sequence[int]) -> float:
        return _frechet(ours[rows], truth) - _frechet(theirs[rows], truth)

    return interval(jackknife(len(ours), gap))


def _frechet(ours: Tensor, theirs: Tensor) -> float:
    """Frechet distance of two feature clouds as Gaussians with diagonal covariance (few pictures, many features)."""
    a, b = ours.double(), theirs.double()
    return ((a.mean(0) - b.mean(0)).square().sum() + (a.std(0) - b.std(0)).square().sum()).item()


def as_json(numbers: Numbers) -> dict[str, object]:
    """Give the numbers as plain rounded data."""
    rounded: Callable[[object], object] = lambda value: (  # noqa: E731
        {key: rounded(part) for key, part in value.items()} if isinstance(value, dict) else round(float(value), 5)
    )
    return rounded(asdict(numbers))
