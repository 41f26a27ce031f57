"""Fine-tune on what the teacher draws instead of the targets: the paper's ablation of on-policy states (section 3.3).

>>> TeacherFlowMatching(training).prepare(denoiser, roles, example, seeds=[0, 1]).shape  # (2, c, h, w)
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Denoiser
from dopsd.methods.sft import FlowMatching
from dopsd.objective import Needs, Scene, Term
from dopsd.recipe import Training
from dopsd.sampling import sample
from dopsd.weights.roles import Roles


class TeacherFlowMatching:
    """Flow matching towards pictures that the untrained teacher, shown the target, drew in the deployed steps."""

    needs = Needs(teacher=True)

    def __init__(self, training: Training) -> None:
        """Take the steps that the teacher draws with."""
        self._num_steps, self._flow = training.num_steps, FlowMatching(training)

    def prepare(self, denoiser: Denoiser, roles: Roles, example: Example, seeds: Sequence[int]) -> Tensor:
        """Draw the caption with the target before the teacher's eyes."""
        shown, shape = [example.teacher] * len(seeds), example.latents.shape
        with roles.as_teacher():
            return sample(denoiser, shown, seeds, latent_shape=shape, num_steps=self._num_steps)

    def terms(self, denoiser: Denoiser, roles: Roles, scene: Scene) -> Iterator[Term]:
        """Yield the loss of flow matching, with a picture of the teacher's in each target's place."""
        return self._flow.terms(denoiser, roles, replace(scene, latents=scene.kept))
