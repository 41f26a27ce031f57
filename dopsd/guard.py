"""Ends a training whose few-step signals leave the noise floor of the model that it began with; off by default.

>>> guard = Guard.of(denoiser, examples, Training(stop_early=50))  # while the network is untrained
>>> guard.strayed(denoiser, iteration=50)  # {"curvature": 0.3, "divergence": 1.2, ...}: above 1 is astray

The signals are those of dopsd.metrics, on latents, because training loads no VAE. A change that is smaller than what
other noise makes of the same prompt is no sign of collapse; a far larger one is no small step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from torch import Tensor

from dopsd.dataset.examples import Examples
from dopsd.family import Context, Denoiser
from dopsd.looks import some
from dopsd.metrics.divergence import velocity_divergence
from dopsd.metrics.few_step import curvature
from dopsd.recipe import Training
from dopsd.sampling import Walk, walks

_PROMPTS = 4
_NOISES = (0, 1)
_SHARE = 0.1
"""Of what another prompt would change in a velocity; docs/training.md has what good and bad trainings reach."""
_SMALLEST = 1e-6
Signals = Mapping[str, Sequence[float]]
"""A value a roll-out."""


@dataclass(frozen=True)
class Guard:
    """The roll-outs of the untrained model, one for each of two noises, and how far each signal may go from theirs."""

    every: int
    contexts: Sequence[Context]
    before: Sequence[Walk]
    floors: Mapping[str, float]

    @classmethod
    def of(cls, denoiser: Denoiser, examples: Examples, training: Training) -> "Guard":
        """Roll the untrained model out and measure its noise floor, unless the recipe wants no guard.

        The prompts are captions in plain words where they were embedded, which learning should leave alone.
        """
        if not training.stop_early:
            return cls(0, (), (), {})
        rows = some(examples, _PROMPTS)
        contexts = [row.plain or row.student for row in rows]
        shape, steps = rows[0].latents.shape, training.num_steps
        before = [_rolled(denoiser, contexts, noise, shape, steps) for noise in _NOISES]
        return cls(training.stop_early, contexts, before, _floors(denoiser, contexts, before))

    def strayed(self, denoiser: Denoiser, iteration: int) -> dict[str, float]:
        """Say how far each signal has gone, in units of its floor; empty where no check is due.

        Curvature has a sign: a path that became straighter is no loss, as for the gate.
        """
        if not self.every or iteration % self.every:
            return {}
        _, *shape = self.before[0].latents.shape
        steps = len(self.before[0].velocities)
        now = [_rolled(denoiser, self.contexts, noise, shape, steps) for noise in _NOISES]
        gone = {name: fmean(found) for name, found in _differences(now, self.before).items()}
        gone |= {name: abs(gone[name]) for name in ("sharpness", "contrast")}
        gone["divergence"] = _divergence(denoiser, self.contexts, self.before)
        return {name: gone[name] / floor for name, floor in self.floors.items()}


def _floors(denoiser: Denoiser, contexts: Sequence[Context], before: Sequence[Walk]) -> dict[str, float]:
    """Measure what other noise changes in each signal, and a share of what other words change in velocities.

    Where all prompts are one, there are no other words to tell how far a velocity may go.
    """
    one, other = before
    found = {name: _rms(apart) for name, apart in _differences([one], [other]).items()}
    found["divergence"] = _SHARE * _divergence(denoiser, [*contexts[1:], contexts[0]], before)
    return {name: floor for name, floor in found.items() if floor > _SMALLEST}


def _rolled(denoiser: Denoiser, contexts: Sequence[Context], noise: int, shape: Sequence[int], num_steps: int) -> Walk:
    """Roll out every prompt from noise of its own, the same at every check."""
    seeds = [len(contexts) * noise + row for row in range(len(contexts))]
    return walks(denoiser, contexts, seeds, latent_shape=shape, num_steps=num_steps)


def _differences(ones: Sequence[Walk], others: Sequence[Walk]) -> dict[str, list[float]]:
    """Subtract the signals of one set of roll-outs from another's, roll-out by roll-out."""
    found: dict[str, list[float]] = {}
    for one, other in zip(ones, others, strict=True):
        theirs = _signals(other)
        for name, values in _signals(one).items():
            found.setdefault(name, []).extend(a - b for a, b in zip(values, theirs[name], strict=True))
    return found


def _signals(walk: Walk) -> Signals:
    """Measure curvature, and the logs of sharpness (energy of neighbours' differences) and contrast of the latents."""
    x = walk.latents
    rough = x.diff(dim=-1).square().mean((1, 2, 3)) + x.diff(dim=-2).square().mean((1, 2, 3))
    return {
        "curvature": curvature(walk),
        "sharpness": _logs(rough),
        "contrast": _logs(x.std((2, 3), correction=0).mean(1)),
    }


def _divergence(denoiser: Denoiser, contexts: Sequence[Context], before: Sequence[Walk]) -> float:
    return fmean(value for walk in before for value in velocity_divergence(denoiser, contexts, walk))


def _logs(values: Tensor) -> list[float]:
    return values.clamp_min(_SMALLEST).log().tolist()


def _rms(values: Sequence[float]) -> float:
    return fmean(value**2 for value in values) ** 0.5
