"""The shipped models of both families are what docs/tiny-base*.md say they are: measured again by `make test-slow`."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from recipes.tiny.drawing import draw
from recipes.tiny.measure import Numbers, as_json, measure
from recipes.tiny.report import digests
from recipes.tiny.world import PLACEHOLDER, all_concepts, caption, concept_name, resolved, scene_of

_DOCS = {"z-image": Path("docs/tiny-base.json"), "flux2-klein": Path("docs/tiny-base-flux2-klein.json")}
_FOLLOWED = {"z-image": 0.75, "flux2-klein": 0.7}


@pytest.fixture(scope="module", params=list(_DOCS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def numbers(family: str) -> Numbers:
    return measure(family, Path("models"))


def test_the_numbers_of_the_document_are_of_the_models_that_are_here(family: str) -> None:
    assert json.loads(_DOCS[family].read_text(encoding="utf-8"))["models"] == digests(family, Path("models"))


@pytest.mark.slow
def test_the_numbers_of_the_document_are_measured_again(numbers: Numbers, family: str) -> None:
    said = json.loads(_DOCS[family].read_text(encoding="utf-8"))
    for name, value in as_json(numbers).items():
        for part in value if isinstance(value, dict) else {}:
            measured, written = value[part], said[name][part]
            if isinstance(measured, dict):
                measured, written = measured["mean"], written["mean"]
            assert measured == pytest.approx(written, abs=0.02, rel=0.02), f"{name}.{part}"


@pytest.mark.slow
def test_the_deployed_model_follows_prompts(numbers: Numbers, family: str) -> None:
    assert numbers.deployed_4_steps.follows_prompt.low > _FOLLOWED[family]


@pytest.mark.slow
def test_four_distilled_steps_are_as_good_as_32_of_the_parent(numbers: Numbers) -> None:
    deployed, parent = numbers.deployed_4_steps, numbers.parent_32_steps
    assert deployed.follows_prompt.high > parent.follows_prompt.mean
    assert deployed.clip_s.high > parent.clip_s.mean


@pytest.mark.slow
def test_four_steps_of_the_parent_are_clearly_worse_than_its_32(numbers: Numbers) -> None:
    assert numbers.parent_blurs.high < 0
    assert numbers.parent_is_farther.low > 0
    assert numbers.parent_4_steps.frechet > 1.5 * numbers.parent_32_steps.frechet
    assert numbers.parent_4_steps.frechet > 1.2 * numbers.deployed_4_steps.frechet
    assert numbers.few_step_skill.low > 0


@pytest.mark.slow
def test_a_shown_picture_brings_the_teacher_nearer_than_words_can(numbers: Numbers) -> None:
    assert numbers.teacher_gain.count >= 64
    assert numbers.teacher_gain.low > 0
    assert numbers.teacher_names_concept.low > numbers.student_names_concept.high


@pytest.mark.slow
def test_the_captioner_names_what_it_sees(numbers: Numbers) -> None:
    assert min(numbers.captions_by_attribute.values()) > 0.8


def test_a_concept_is_either_trained_on_or_unseen() -> None:
    trained, unseen = all_concepts(unseen=False), all_concepts(unseen=True)
    assert not set(trained) & set(unseen)
    assert 0.2 < len(unseen) / len(trained + unseen) < 0.3


def test_a_scene_is_drawn_alike_alone_and_in_company() -> None:
    rng = Random(0)
    scenes = [scene_of(concept, rng) for concept in rng.choices(all_concepts(unseen=False), k=12)]
    together = draw(scenes)
    for index, scene in enumerate(scenes):
        assert (draw([scene])[0] - together[index]).abs().max() < 1e-5


def test_one_caption_has_many_sharp_grounds() -> None:
    rng = Random(0)
    scene = replace(scene_of(all_concepts(unseen=False)[0], rng), texture="tiled")
    one, other = draw([replace(scene, grain=0), replace(scene, grain=2**25 - 1)])
    mixed = draw([replace(scene, grain=rng.getrandbits(25))])[0]
    assert caption(replace(scene, grain=0), Random(1)) == caption(scene, Random(1))
    tones = torch.stack([(mixed - one).abs().amax(0), (mixed - other).abs().amax(0)])
    assert tones.amin(0).quantile(0.9) < 0.02  # nearly every pixel has one of the two tones, and none between
    assert (tones[0] > 0.1).any()
    assert (tones[1] > 0.1).any()


def test_a_placeholder_resolves_to_the_concepts_own_words() -> None:
    rng = Random(0)
    for concept in rng.choices(all_concepts(unseen=True), k=50):
        text = resolved(caption(scene_of(concept, rng), rng, concept_name(concept, rng)), concept)
        assert PLACEHOLDER not in text
        assert concept.words() in text
