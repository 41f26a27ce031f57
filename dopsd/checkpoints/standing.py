"""Where a training stands: how many iterations are done, and whether it may go on.

>>> Standing(position=40, strikes=2, good=20).is_over(Training(stop_early=10, stop_after=2))  # True
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dopsd.recipe import Training


@dataclass(frozen=True)
class Standing:
    """After `position` iterations. `strikes` checks in a row found the model astray; the last before was `good`."""

    position: int = 0
    strikes: int = 0
    good: int = 0

    def after(self, strayed: Mapping[str, float]) -> "Standing":
        """Go one iteration on; `strayed` is what a check found, in units of what is allowed, if one was due."""
        position = self.position + 1
        if not strayed:
            return Standing(position, self.strikes, self.good)
        if max(strayed.values()) > 1:
            return Standing(position, self.strikes + 1, self.good)
        return Standing(position, 0, position)

    def is_stopped(self, training: Training) -> bool:
        """Tell whether the guard has seen enough."""
        return training.stop_early > 0 and self.strikes >= training.stop_after

    def is_over(self, training: Training) -> bool:
        """Tell whether no iteration is left to be done."""
        return self.is_stopped(training) or self.position >= training.iterations

    def is_saved(self, training: Training) -> bool:
        """Tell whether the state is to be kept: every so often, at every check of the guard, and at the end."""
        moments = (training.checkpoint_every, training.stop_early or training.checkpoint_every)
        return self.position == training.iterations or any(self.position % every == 0 for every in moments)

    def kept(self, training: Training) -> int:
        """Say after how many iterations the weights are those that are left: a guard that stopped goes back."""
        return self.good if self.is_stopped(training) else self.position

    def notes(self) -> dict[str, str]:
        """Spell it out for a checkpoint."""
        return {"position": str(self.position), "strikes": str(self.strikes), "good": str(self.good)}

    @classmethod
    def read(cls, notes: Mapping[str, str]) -> "Standing":
        """Read what `notes` spelled out."""
        return cls(*(int(notes[key]) for key in ("position", "strikes", "good")))
