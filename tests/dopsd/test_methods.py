"""Every method, behind one interface: it trains the student alone, and its loss is what its paper says."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from dopsd.dataset.examples import Example, Examples
from dopsd.families.catalogue import family
from dopsd.family import Context, Denoiser
from dopsd.methods.sft import flow_losses, noise_levels
from dopsd.objective import NAMES, Scene, Term, objective
from dopsd.preparation import Shelf, drawn, prepared
from dopsd.recipe import TAUGHT, Method, Training
from dopsd.run import Run
from dopsd.sampling import noise, sample, walk
from dopsd.training import train
from dopsd.weights.adapter import save_adapter
from dopsd.weights.adapter_roles import AdapterRoles, Shape, attach_

METHODS = get_args(Method)
TINY = Training(
    rank=4, alpha=4, iterations=2, batch_size=2, learning_rate=1e-3, precision="fp32", checkpoint_every=1, num_samples=2
)


@pytest.fixture
def worded(examples: Examples) -> Examples:
    """Give every example a caption in plain words, of a length of its own."""
    rows = tuple(replace(row, plain=Context(row.student.tokens[1:] / 2)) for row in examples)
    return replace(examples, rows=rows)


@pytest.fixture
def roles(denoiser: Denoiser) -> AdapterRoles:
    """Give the network a new student and an EMA teacher."""
    return attach_(denoiser.network, Shape(family("z-image").lora_targets, 4, 4), teacher="ema", seed=0)


@pytest.fixture
def scene(worded: Examples) -> Scene:
    """Make a batch of three, whose kept pictures are random."""
    batch = worded.rows[:3]
    rng = torch.Generator().manual_seed(5)
    return Scene(
        [row.student for row in batch],
        [row.teacher for row in batch],
        torch.randn((3, 4, 6, 6), generator=rng),
        torch.stack([row.latents for row in batch]),
        plain=[row.in_plain_words for row in batch],
        kept=torch.randn((3, 4, 6, 6), generator=rng),
        seed=11,
    )


def terms(method: str, denoiser: Denoiser, roles: AdapterRoles, scene: Scene, **settings: Any) -> list[Term]:
    """Draw all terms of a method."""
    return list(objective(method)(Training(method=method, **settings)).terms(denoiser, roles, scene))  # type: ignore[arg-type]


def moved(roles: AdapterRoles) -> AdapterRoles:
    """Move the student away from its start."""
    rng = torch.Generator().manual_seed(3)
    for weight in roles.student.values():
        weight.data += torch.randn(weight.shape, generator=rng) * 0.1
    return roles


def test_the_recipe_and_the_table_name_the_same_methods() -> None:
    assert METHODS == NAMES


@pytest.mark.parametrize("method", METHODS)
def test_two_steps_change_the_student_alone(denoiser: Denoiser, worded: Examples, run: Run, method: Method) -> None:
    _two_steps(denoiser, worded, run, method)


@pytest.mark.parametrize("method", METHODS)
def test_two_steps_change_the_student_of_the_editing_family_alone(models: Any, run: Run, method: Method) -> None:
    rng = torch.Generator().manual_seed(1)
    rows = tuple(
        Example(
            f"k{n}",
            Context(torch.randn(7, 96, generator=rng)),
            Context(torch.randn(9, 96, generator=rng), reference=torch.randn(16, 3, 3, generator=rng)),
            torch.randn((16, 3, 3), generator=rng),
            plain=Context(torch.randn(6, 96, generator=rng)),
        )
        for n in range(3)
    )
    klein = family("flux2-klein")
    _two_steps(klein.load_denoiser(models.klein), Examples(rows, "klein"), replace(run, family=klein), method)


def _two_steps(denoiser: Denoiser, examples: Examples, run: Run, method: Method) -> None:
    base = {name: weight.detach().clone() for name, weight in denoiser.network.named_parameters()}
    records = list(train(denoiser, examples, replace(TINY, method=method), run))
    assert [record.step for record in records] == [0, 1]
    assert all(math.isfinite(record.loss) and record.gradient_norm > 0 and record.gaps for record in records)
    now = {name.replace(".base_layer", ""): weight for name, weight in denoiser.network.named_parameters()}
    assert all(torch.equal(now[name], weight) for name, weight in base.items())
    assert any((weight != 0).any() for name, weight in now.items() if "lora_B.student" in name)


@pytest.mark.parametrize("method", ["dreambooth", "sft-teacher", "offpolicy", "pso"])
def test_a_method_that_prepares_goes_on_as_if_it_had_never_stopped(
    models: Any, worded: Examples, run: Run, tmp_path: Path, method: Method
) -> None:
    training = replace(TINY, method=method)

    def adapter(iterations: Sequence[int], state: Path) -> bytes:
        """Train in as many runs as there are numbers, each on a fresh network."""
        place = replace(run, state=state)
        for count in iterations:
            denoiser = run.family.load_denoiser(models.base)
            list(train(denoiser, worded, replace(training, iterations=count), place))
        return save_adapter(denoiser.network, state / "adapter", run.family.pipeline).read_bytes()

    assert adapter([1, 2], tmp_path / "twice") == adapter([2], tmp_path / "once")


def test_a_flow_velocity_points_from_the_image_to_the_noise(denoiser: Denoiser, scene: Scene) -> None:
    target = scene.noise - scene.latents
    exact = replace_velocity(denoiser, target)
    sigma = torch.tensor([0.1, 0.5, 0.9])
    assert flow_losses(exact, scene.student, scene.latents, scene.noise, sigma).tolist() == [0, 0, 0]
    off = replace_velocity(denoiser, target + 2)
    assert flow_losses(off, scene.student, scene.latents, scene.noise, sigma).tolist() == pytest.approx([4, 4, 4])


def replace_velocity(denoiser: Denoiser, velocity: torch.Tensor) -> Any:
    """Make a denoiser that knows one answer."""

    class Knowing:
        network, sigmas = denoiser.network, staticmethod(denoiser.sigmas)

        @staticmethod
        def velocity(x: torch.Tensor, sigma: torch.Tensor, contexts: Sequence[Context]) -> torch.Tensor:
            return velocity

    return Knowing()


def test_noise_levels_are_bent_as_the_schedule_bends_them(denoiser: Denoiser, scene: Scene) -> None:
    levels = torch.cat([noise_levels(denoiser, replace(scene, seed=seed)) for seed in range(2000)])
    uniform = (levels / (3 - 2 * levels)).sort().values  # the inverse of shift 3
    assert (uniform - torch.linspace(0, 1, len(uniform))).abs().max() < 0.03


def test_a_row_at_its_own_level_is_as_if_it_were_alone(denoiser: Denoiser, scene: Scene) -> None:
    sigma = torch.tensor([0.1, 0.5, 0.9])
    with torch.no_grad():
        together = flow_losses(denoiser, scene.student, scene.latents, scene.noise, sigma)
        alone = [
            flow_losses(denoiser, [scene.student[n]], scene.latents[n : n + 1], scene.noise[n : n + 1], sigma[n])
            for n in range(3)
        ]
    assert together.tolist() == pytest.approx([loss.item() for loss in alone], rel=1e-5)


def test_dreambooth_without_its_prior_is_fine_tuning(denoiser: Denoiser, roles: AdapterRoles, scene: Scene) -> None:
    (plain,) = terms("sft", denoiser, roles, scene)
    (image,) = terms("dreambooth", denoiser, roles, scene, prior_weight=0.0)
    assert image.loss.item() == plain.loss.item()
    image, prior = terms("dreambooth", denoiser, roles, scene, prior_weight=0.5)
    assert image.loss.item() == plain.loss.item()
    assert prior.loss.item() == 0.5 * prior.gap.item() > 0


@pytest.mark.parametrize("method", ["sft-parent", "sft-adapter"])
def test_another_model_beneath_has_the_loss_of_fine_tuning(
    denoiser: Denoiser, roles: AdapterRoles, scene: Scene, method: str
) -> None:
    assert terms(method, denoiser, roles, scene)[0].loss == terms("sft", denoiser, roles, scene)[0].loss
    assert objective(method)(Training()).needs.model != "deployed"


def test_fine_tuning_on_the_teacher_is_fine_tuning_with_its_pictures(
    denoiser: Denoiser, roles: AdapterRoles, scene: Scene, worded: Examples
) -> None:
    taught, plain = terms("sft-teacher", denoiser, roles, scene), replace(scene, latents=scene.kept)
    assert taught[0].loss == terms("sft", denoiser, roles, plain)[0].loss
    example = worded.rows[0]
    made = objective("sft-teacher")(Training()).prepare(denoiser, roles, example, [4])
    assert made is not None
    assert torch.equal(made, sample(denoiser, [example.teacher], [4], latent_shape=(4, 6, 6), num_steps=4))


def test_off_policy_on_the_students_own_states_is_on_policy(
    denoiser: Denoiser, roles: AdapterRoles, worded: Examples
) -> None:
    example = worded.rows[1]
    for loss in ("x0", "velocity"):
        method = objective("offpolicy")(Training(loss=loss))
        kept = method.prepare(denoiser, roles, example, [7])
        assert kept is not None
        scene = Scene([example.student], [example.teacher], noise([7], (4, 6, 6)), example.latents[None], kept=kept)
        fixed = list(method.terms(denoiser, roles, scene))
        own = terms("dopsd", denoiser, roles, scene, loss=loss)
        assert [term.loss.item() for term in fixed] == [term.loss.item() for term in own]
        assert [term.name for term in fixed] == [term.name for term in own] == ["1", "2", "3", "4"]


def test_a_pair_that_the_student_judges_as_the_base_does_costs_log_2(
    denoiser: Denoiser, roles: AdapterRoles, scene: Scene
) -> None:
    (term,) = terms("pso", denoiser, roles, scene)
    assert term.loss.item() == pytest.approx(math.log(2))
    assert terms("pso", denoiser, moved(roles), scene)[0].loss.item() != pytest.approx(math.log(2))


def test_the_hinge_and_the_sigmoid_have_their_closed_forms(
    denoiser: Denoiser, roles: AdapterRoles, scene: Scene
) -> None:
    levels = denoiser.sigmas(4, (4, 6, 6))[:-1]
    with roles.as_base():
        base = _errors(denoiser, scene, levels)
    moved(roles)
    with torch.no_grad():
        student = _errors(denoiser, scene, levels)
    settings = {"pso_beta": 2.0, "pso_loser_share": 0.3, "pso_prior_weight": 0.7}
    (sigmoid,) = terms("pso", denoiser, roles, scene, **settings)
    (hinge,) = terms("pso_db", denoiser, roles, scene, **settings)
    delta, reference = (winner - 0.3 * loser for winner, loser in (student, base))
    wanted = torch.log1p(torch.exp(-2 * (reference - delta))).mean()
    assert sigmoid.loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    wanted = torch.clamp(1 + 2 * delta, min=0).mean() + 0.7 * student[1].mean()
    assert hinge.loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def _errors(denoiser: Denoiser, scene: Scene, levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure x0' - x0 over sigma, squared, for winners and losers: one noise and one level a pair."""
    sigma = levels[np.random.default_rng([scene.seed, 1]).integers(len(levels), size=len(scene.latents))]
    errors = []
    for images, contexts in ((scene.latents, scene.student), (scene.kept, scene.plain)):
        x = images + sigma.view(-1, 1, 1, 1) * (scene.noise - images)
        denoised = x - sigma.view(-1, 1, 1, 1) * denoiser.velocity(x, sigma, contexts)
        errors.append(((denoised - images) / sigma.view(-1, 1, 1, 1)).square().flatten(1).mean(1))
    return errors[0], errors[1]


def test_a_random_subset_of_all_states_is_all(denoiser: Denoiser, roles: AdapterRoles, scene: Scene) -> None:
    every = [term.loss.item() for term in terms("dopsd", denoiser, roles, scene)]
    assert [term.loss.item() for term in terms("dopsd", denoiser, roles, scene, num_states=4)] == every


def test_a_subset_weighs_as_much_as_all_and_follows_the_seed(
    denoiser: Denoiser, roles: AdapterRoles, scene: Scene
) -> None:
    every = {term.name: term.loss.item() for term in terms("dopsd", denoiser, roles, scene)}
    scenes = [replace(scene, seed=seed) for seed in range(12)]
    found = [
        {term.name: term.loss.item() for term in terms("dopsd", denoiser, roles, one, num_states=2)} for one in scenes
    ]
    assert all(len(some) == 2 for some in found)
    assert {name for some in found for name in some} == {"1", "2", "3", "4"}
    for some in found:
        assert some == pytest.approx({name: 2 * every[name] for name in some})


def test_a_copy_that_reads_the_same_has_nothing_to_object(denoiser: Denoiser, scene: Scene) -> None:
    roles = moved(attach_(denoiser.network, Shape(family("z-image").lora_targets, 4, 4), teacher="copy", seed=0))
    blind = replace(scene, teacher=scene.student)
    found = terms("dopsd", denoiser, roles, blind)
    assert [term.loss.item() for term in found] == [0, 0, 0, 0]
    assert all(term.loss.requires_grad for term in found)
    assert roles.teacher == {}


def test_what_is_prepared_depends_on_the_image_and_the_seed_alone(
    denoiser: Denoiser, roles: AdapterRoles, worded: Examples, tmp_path: Path
) -> None:
    method = objective("pso")(TINY)
    whole = prepared(method, denoiser, roles, worded, Shelf(tmp_path / "one", 2, 0))
    fewer = Examples(worded.rows[3:], "fewer")
    part = prepared(method, denoiser, roles, fewer, Shelf(tmp_path / "two", 2, 0))
    other = prepared(method, denoiser, roles, fewer, Shelf(tmp_path / "three", 2, 1))
    assert all(torch.equal(part[name], whole[name]) for name in ("e3", "e4"))
    assert not torch.equal(part["e3"], other["e3"])
    assert not torch.equal(whole["e3"][0], whole["e3"][1])


def test_what_was_prepared_is_not_made_again_and_damage_is_named(
    denoiser: Denoiser, roles: AdapterRoles, worded: Examples, tmp_path: Path
) -> None:
    method, shelf = objective("pso")(TINY), Shelf(tmp_path, 2, 0)
    first = prepared(method, denoiser, roles, worded, shelf)
    again = prepared(method, denoiser, moved(roles), worded, shelf)
    assert all(torch.equal(again[name], first[name]) for name in first)
    (tmp_path / "e2.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"e2\.safetensors is damaged.*delete it"):
        prepared(method, denoiser, roles, worded, shelf)


def test_rows_draw_from_what_is_their_own(worded: Examples) -> None:
    kept = {row.id: torch.full((3, 1), float(n)) for n, row in enumerate(worded)}
    assert drawn(kept, worded.rows[::-1], seed=4).flatten().tolist() == [4, 3, 2, 1, 0]
    assert len({tuple(drawn({"e0": torch.arange(3)}, worded.rows[:1], seed).tolist()) for seed in range(20)}) == 3


@pytest.mark.parametrize("method", ["dreambooth", "pso", "pso_db"])
def test_a_caption_in_plain_words_that_is_missing_is_asked_for(
    denoiser: Denoiser, examples: Examples, run: Run, method: Method
) -> None:
    with pytest.raises(ValueError, match=r"e0 has no caption in plain words.*embed\.class_noun"):
        next(train(denoiser, examples, replace(TINY, method=method), run))


def test_the_fixed_states_are_those_of_a_walk(denoiser: Denoiser, roles: AdapterRoles, worded: Examples) -> None:
    example = worded.rows[0]
    kept = objective("offpolicy")(Training(num_steps=3)).prepare(denoiser, roles, example, [1, 2])
    assert kept is not None
    assert kept.shape == (2, 3, 4, 6, 6)
    walked = walk(denoiser, [example.student] * 2, kept[:, 0], 3)
    with torch.no_grad():
        last = denoiser.velocity(kept[:, 2], walked.sigmas[2], [example.student] * 2)
    assert torch.allclose(kept[:, 2] - walked.sigmas[2] * last, walked.latents, atol=1e-6)


def test_the_recipe_knows_which_methods_follow_a_teacher() -> None:
    assert set(TAUGHT) == {method for method in METHODS if objective(method)(Training()).needs.teacher}


def test_an_anchor_adds_the_base_on_plain_words_and_nothing_else(
    denoiser: Denoiser, roles: AdapterRoles, scene: Scene
) -> None:
    moved(roles)
    plain = replace(scene, student=scene.plain, teacher=scene.plain)
    settings = {"num_steps": 3, "teacher": "frozen"}
    frozen = AdapterRoles(roles.network, roles.student, {}, speaker=None)
    told = terms("dopsd", denoiser, roles, scene, num_steps=3)
    held = terms("dopsd", denoiser, frozen, plain, **settings)
    found = terms("anchored", denoiser, roles, scene, num_steps=3, anchor_weight=0.5)
    assert [term.name for term in found] == ["1", "2", "3", "anchor_1", "anchor_2", "anchor_3"]
    assert [term.loss.item() for term in found] == [
        *(term.loss.item() for term in told), *(0.5 * term.loss.item() for term in held)
    ]  # fmt: skip


def test_who_has_learnt_nothing_is_at_anchor(denoiser: Denoiser, roles: AdapterRoles, scene: Scene) -> None:
    found = terms("anchored", denoiser, roles, scene)
    assert [term.gap.item() for term in found[4:]] == [0, 0, 0, 0]


def test_an_anchor_wants_plain_words(denoiser: Denoiser, roles: AdapterRoles, examples: Examples) -> None:
    with pytest.raises(ValueError, match=r"e0 has no caption in plain words.*embed\.class_noun"):
        objective("anchored")(Training()).prepare(denoiser, roles, examples.rows[0], [0])


def test_what_is_told_plainly_is_learnt_and_not_anchored(denoiser: Denoiser, roles: AdapterRoles, scene: Scene) -> None:
    moved(roles)
    replayed = replace(scene, student=[scene.plain[0], *scene.student[1:]])
    elsewhere = replace(replayed, plain=[scene.plain[1], *scene.plain[1:]])
    found, wanted = (terms("anchored", denoiser, roles, one) for one in (replayed, elsewhere))
    assert [term.loss.item() for term in found] == [term.loss.item() for term in wanted]
    found = terms("anchored", denoiser, roles, replace(scene, student=scene.plain))
    assert [term.loss.item() for term in found[4:]] == [0, 0, 0, 0]
    assert min(term.loss.item() for term in found[:4]) > 0
