"""A run of training: where it stands, and all that decides its weights, so that none goes on from another's state.

>>> identity(Training(), run, examples.digest).digest        # names the folder of its checkpoints
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from dopsd.family import Family
from dopsd.recipe import Training, decisive
from dopsd.weights.trained import FILE

_HOW_LONG = ("iterations", "checkpoint_every")


@dataclass(frozen=True)
class Run:
    """Where a training run stands: its family, its base (model@revision), its state folder, its parent's adapter."""

    family: Family
    base: str
    state: Path
    parent: Path | None = None


@dataclass(frozen=True)
class Identity:
    """What a training is, part by part; all of it is JSON."""

    parts: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """Digest all parts, 64 hex digits."""
        return hashlib.sha256(self.said.encode()).hexdigest()

    @property
    def said(self) -> str:
        """Spell the parts out, the same text for equal parts."""
        return json.dumps(self.parts, sort_keys=True)

    def differences(self, said: str) -> list[str]:
        """Tell in which parts another identity, as it spelled itself out, differs from this one."""
        other, own = json.loads(said), json.loads(self.said)
        return [
            f"{key} is {other.get(key)!r} there and {own.get(key)!r} here"
            for key in sorted(other.keys() | own.keys())
            if other.get(key) != own.get(key)
        ]


def identity(training: Training, run: Run, examples_digest: str) -> Identity:
    """Gather everything that decides the weights after n iterations: how long and how often we save does not.

    Nor does how many processes share a batch: their sums round otherwise, and a run may go on on another machine.
    """
    recipe = {key: value for key, value in decisive(asdict(training)).items() if key not in _HOW_LONG}
    recipe["precision"] = precision(training)  # what "auto" means here
    about = {
        "family": run.family.name,
        "base": run.base,
        "parent": hashlib.sha256((run.parent / FILE).read_bytes()).hexdigest() if run.parent else None,
        "examples": examples_digest,
        "world_size": 1,  # of any; each state tells by how many it was made
    }
    return Identity(about | {f"train.{key}": value for key, value in recipe.items()})


def precision(training: Training) -> str:
    """Settle the precision of the network's arithmetic, in accelerate's words."""
    is_bf16 = training.precision == "bf16" or (training.precision == "auto" and torch.cuda.is_available())
    return "bf16" if is_bf16 else "no"
