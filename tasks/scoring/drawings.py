"""What models draw for a panel of prompts, side by side: the same prompts, the same noise, whichever model it is.

>>> easel = Easel(encoder, latent_shape=(16, 128, 128), num_steps=8, seeds=[0, 1])
>>> for batch in side_by_side(cast, ["base", "adapter"], prompts, contexts, easel): batch["adapter"]
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from PIL.Image import Image

from dopsd.family import Context, Encoder
from dopsd.metrics.divergence import velocity_divergence
from dopsd.metrics.few_step import curvature
from dopsd.sampling import Walk, walks
from tasks.cast import Cast
from tasks.scoring.base_walks import BaseWalks
from tasks.scoring.panels import Prompt
from tasks.stores.batches import batches

TOGETHER = 128
"""Pictures a model whose velocities are held at a time."""


@dataclass(frozen=True)
class Drawing:
    """One picture, what it was asked to be, how bent the way there was, and how far off the base's its model strays.

    Divergence is measured on prompts of retention only, and is None elsewhere.
    """

    prompt: Prompt
    seed: int
    picture: Image
    curvature: float
    divergence: float | None = None


@dataclass(frozen=True)
class Easel:
    """What all models of a comparison share: who decodes, the size of the latents, the deployed steps, the seeds.

    `follows_base` asks for the divergence, at the price of one walk more for each model but the base. `kept` are
    roll-outs of the base from earlier comparisons.
    """

    encoder: Encoder
    latent_shape: tuple[int, ...]
    num_steps: int
    seeds: Sequence[int]
    follows_base: bool = False
    kept: BaseWalks | None = None


@dataclass(frozen=True)
class _Batch:
    """Prompts with a seed each, and what the denoiser reads of them."""

    prompts: Sequence[Prompt]
    seeds: Sequence[int]
    contexts: Sequence[Context]


def side_by_side(
    cast: Cast, models: Sequence[str], prompts: Sequence[Prompt], contexts: Sequence[Context], easel: Easel
) -> Iterator[dict[str, list[Drawing]]]:
    """Draw every prompt with every seed by each of `models`, "base" first; yield what each drew, batch by batch.

    The order is that of prompts, then seeds; the contexts are those of the prompts.
    """
    for chunk in batches(list(product(range(len(prompts)), easel.seeds)), TOGETHER):
        rows, seeds = zip(*chunk, strict=True)
        batch = _Batch([prompts[row] for row in rows], seeds, [contexts[row] for row in rows])
        walked = {model: _walked(cast, model, batch, easel) for model in models}
        yield {
            model: _drawn(batch, walk, _strayed(cast, model, batch, walked, easel), easel)
            for model, walk in walked.items()
        }


def _walked(cast: Cast, model: str, batch: _Batch, easel: Easel) -> Walk:
    def draw() -> Walk:
        shape, steps = easel.latent_shape, easel.num_steps
        with cast.speaking(model) as denoiser:
            return walks(denoiser, batch.contexts, batch.seeds, latent_shape=shape, num_steps=steps)

    if model != "base" or easel.kept is None:
        return draw()
    return easel.kept.walk(batch.contexts, batch.seeds, [*easel.latent_shape, easel.num_steps], draw)


def _strayed(cast: Cast, model: str, batch: _Batch, walked: Mapping[str, Walk], easel: Easel) -> dict[int, float]:
    """Measure how far a model strays from the base's walk on the rows of retention."""
    rows = [row for row, prompt in enumerate(batch.prompts) if prompt.panel == "retention"]
    if not easel.follows_base or not rows:
        return {}
    if model == "base":
        return dict.fromkeys(rows, 0.0)
    base = walked["base"]
    kept = Walk(base.latents[rows], base.velocities[:, rows], base.sigmas)
    with cast.speaking(model) as denoiser:
        found = velocity_divergence(denoiser, [batch.contexts[row] for row in rows], kept)
    return dict(zip(rows, found, strict=True))


def _drawn(batch: _Batch, walk: Walk, strayed: dict[int, float], easel: Easel) -> list[Drawing]:
    rows = zip(batch.prompts, batch.seeds, easel.encoder.pictures(walk.latents), curvature(walk), strict=True)
    return [
        Drawing(prompt, seed, picture, bend, strayed.get(row)) for row, (prompt, seed, picture, bend) in enumerate(rows)
    ]
