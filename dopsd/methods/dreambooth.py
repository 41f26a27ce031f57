"""DreamBooth (arXiv:2208.12242): flow matching, and beside it on pictures of the class that the base itself drew.

>>> [term.name for term in DreamBooth(training).terms(denoiser, roles, scene)]  # image, prior
"""

from collections.abc import Iterator, Sequence

from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Denoiser
from dopsd.methods.sft import flow_losses, noise_levels
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.sampling import sample
from dopsd.weights.roles import Roles


class DreamBooth:
    """Learn the images, and keep what the caption meant before: its class, prior preservation (eq. 2 there)."""

    needs = Needs()

    def __init__(self, training: Training) -> None:
        """Take how much the prior counts, and the steps that the base draws it with."""
        self._weight, self._num_steps = training.prior_weight, training.num_steps

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> Tensor | None:
        """Draw pictures of the class from the caption in plain words, if they count."""
        if not self._weight:
            return None
        plain, shape = [example.in_plain_words] * len(seeds), example.latents.shape
        return sample(denoiser, plain, seeds, latent_shape=shape, num_steps=self._num_steps)

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield the loss of the images, then that of the class, at the same noise and levels."""
        sigma = noise_levels(denoiser, scene)
        image = flow_losses(denoiser, scene.student, scene.latents, scene.noise, sigma).mean()
        yield Term(image, image.detach(), "image")
        if self._weight:
            prior = flow_losses(denoiser, scene.plain, scene.kept, scene.noise, sigma).mean()
            yield Term(self._weight * prior, prior.detach(), "prior")
