"""Looks are for people: they show what is true, when it is due, and training does not notice."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from dopsd.dataset.examples import Examples
from dopsd.families.catalogue import family
from dopsd.family import Denoiser
from dopsd.looks import in_mind, some
from dopsd.recipe import Training
from dopsd.run import Run
from dopsd.sampling import noise, walk, walks
from dopsd.training import Record, train
from dopsd.weights.adapter import save_adapter

TINY = Training(rank=4, alpha=4, iterations=4, batch_size=2, learning_rate=1e-2, precision="fp32")


def trained(models: Any, examples: Examples, training: Training, run: Run) -> tuple[list[Record], bytes]:
    """Train a fresh network; return what was told, and the bytes of what was learnt."""
    denoiser = run.family.load_denoiser(models.base)
    records = list(train(denoiser, examples, training, run))
    return records, save_adapter(denoiser.network, run.state / "adapter", run.family.pipeline).read_bytes()


def test_training_does_not_notice(models: Any, examples: Examples, run: Run, tmp_path: Path) -> None:
    watched, got = trained(models, examples, replace(TINY, sample_every=1), run)
    alone, wanted = trained(models, examples, replace(TINY, sample_every=0), replace(run, state=tmp_path / "alone"))
    assert got == wanted
    assert watched == alone
    assert all(record.look for record in watched)
    assert not any(record.look for record in alone)


def test_a_look_is_due_at_the_first_iteration_every_so_often_and_at_the_last(
    denoiser: Denoiser, examples: Examples, run: Run
) -> None:
    records = train(denoiser, examples, replace(TINY, sample_every=2), run)
    assert [record.step for record in records if record.look] == [0, 2, 3]


def test_the_student_is_shown_as_it_stands_and_the_teacher_sees_the_picture(
    models: Any, denoiser: Denoiser, examples: Examples, run: Run
) -> None:
    *_, last = train(denoiser, examples, replace(TINY, teacher="frozen"), run)
    assert last.look
    shown = some(examples, 3)
    assert last.look.ids == tuple(row.id for row in shown)
    asked = {"seeds": [0, 1, 2], "latent_shape": shown[0].latents.shape, "num_steps": 4}
    now = walks(denoiser, [row.student for row in shown], **asked)
    assert torch.equal(last.look.student[-1], now.latents)
    bare = run.family.load_denoiser(models.base)
    taught = walks(bare, [row.teacher for row in shown], **asked)
    assert torch.allclose(last.look.teacher, taught.latents, atol=1e-5)


def test_what_is_in_mind_is_where_a_straight_line_from_the_state_would_end(
    denoiser: Denoiser, examples: Examples
) -> None:
    x, context = noise([5], (4, 6, 6)), [examples.rows[0].student]
    seen = in_mind(walk(denoiser, context, x, 4))
    sigmas = denoiser.sigmas(4, x.shape[1:])
    with torch.no_grad():
        for step, (sigma, next_sigma) in enumerate(pairwise(sigmas)):
            velocity = denoiser.velocity(x, sigma, context)
            assert torch.allclose(seen[step], x - sigma * velocity, atol=1e-5)
            x = x + (next_sigma - sigma) * velocity
    assert torch.equal(seen[-1], walk(denoiser, context, noise([5], (4, 6, 6)), 4).latents)


def test_shapes_are_not_mixed_in_a_look(examples: Examples) -> None:
    wide = replace(examples.rows[0], latents=torch.zeros(4, 4, 8))
    assert some(Examples((wide, *examples.rows), "mixed"), 3) == [wide]


@pytest.mark.parametrize(("name", "where"), [("z-image", "base"), ("flux2-klein", "klein")])
def test_a_decoder_alone_draws_what_the_encoder_side_draws(models: Any, name: str, where: str) -> None:
    line, base = family(name), getattr(models, where)
    channels = 4 if name == "z-image" else 16
    latents = torch.randn((2, channels, 6, 6), generator=torch.Generator().manual_seed(0))
    alone, whole = line.load_decoder(base), line.load_encoder(base, models.vision_language)
    for one, other in zip(alone.pictures(latents), whole.pictures(latents), strict=True):
        assert one.tobytes() == other.tobytes()
