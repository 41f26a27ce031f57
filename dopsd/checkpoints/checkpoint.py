"""Everything needed to go on as if never stopped: student, teacher, moments and position; `state` is how it is kept.

>>> checkpoint = Checkpoint(Path("runs/train"), identity(training, run, examples.digest))
>>> standing = checkpoint.restore_(roles, optimizer)  # Standing(position=0) where this run has not been here before

There is no random state to keep of any process, and no cursor: noise, order and rates are pure functions of seed and
step.
"""

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dopsd.checkpoints.standing import Standing
from dopsd.checkpoints.state import MEND, Damaged, keep, read, read_notes, remove
from dopsd.processes import ranks
from dopsd.processes.sharding import is_sharded, own, rows
from dopsd.recipe import Training
from dopsd.run import Identity
from dopsd.weights.roles import Roles

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_STATE = re.compile(r"after-\d{8}(\.safetensors)?")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The last `kept` states of one run, under `state`; `identity` says all that decides its outcome.

    A run with other settings or data has another folder, so it starts anew rather than from what is not its own.
    """

    state: Path
    identity: Identity
    kept: int = 2

    @property
    def folder(self) -> Path:
        """Where this run keeps what must survive it."""
        return self.state / self.identity.digest[:16]

    def standing(self, most: int | None = None) -> Standing:
        """Tell where the newest state of at most `most` iterations stands, as the first says that can be read."""
        for place in self._newest_first(most):
            with suppress(Damaged):  # restoring tells of damage
                return Standing.read(read_notes(place))
        return Standing()

    def begin_(self, roles: Roles, optimizer: torch.optim.AdamW, training: Training) -> Standing:
        """Restore what there is. For a guard the beginning is saved too: what is left if nothing good comes of it."""
        standing = self.restore_(roles, optimizer, training.iterations)
        ranks.wait()  # all have looked: now there may be more
        if training.stop_early and standing.position == 0:
            self.save(standing, roles, optimizer)
        return standing

    def save(self, standing: Standing, roles: Roles, optimizer: torch.optim.AdamW) -> None:
        """Add the state that `standing` tells of; a crash leaves it whole or not there, and the one before untouched.

        States of later iterations go, as do all but the last `kept` and the one that a guard would go back to. All
        processes of a training come here.
        """
        notes, is_divided = standing.notes() | {"identity": self.identity.said}, is_sharded(roles.student)
        keep(self._path(standing.position), _tensors(roles, optimizer), notes, is_divided=is_divided)
        if ranks.rank():
            return
        earlier = list(self._newest_first(standing.position))
        good = [place for place in earlier if _position(place) == standing.good]
        for place in set(self.folder.glob("after-*")) - {*earlier[: self.kept], *good}:
            remove(place)  # what a kill left half written, too

    def restore_(self, roles: Roles, optimizer: torch.optim.AdamW, most: int | None = None) -> Standing:
        """Put the newest whole state of at most `most` iterations back; tell where it stands, at 0 where there is none.

        A damaged state is told on the log, and the one before serves. Raises ValueError with the reason where none is
        whole, or where one belongs to another run.
        """
        divided = {key: rows(weight) for key, weight in roles.student.items()} if is_sharded(roles.student) else {}
        first: Damaged | None = None
        for place in self._newest_first(most):
            found = _read(place, divided)
            if isinstance(found, Damaged):
                _log.warning("%s; the state before it is tried", found)
                first = first or found
            else:
                return self._put_back_(place, *found, roles, optimizer)
        if first is not None:
            raise first
        return Standing()

    def _put_back_(
        self, place: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str], roles: Roles,
        optimizer: torch.optim.AdamW,
    ) -> Standing:  # fmt: skip
        if differences := self.identity.differences(notes["identity"]):
            raise ValueError(f"{place} belongs to another run ({'; '.join(differences)}): {MEND}")
        if (before := notes.get("world_size", "1")) != (now := str(ranks.world_size())):
            _log.warning("%s is of %s processes, %s go on: sums round otherwise from here on", place, before, now)
        _put_(tensors, roles, optimizer)
        return Standing.read(notes)

    def _path(self, position: int) -> Path:
        """Name the place of a state, but for the suffix that it may have."""
        return self.folder / f"after-{position:08d}"

    def _newest_first(self, most: int | None) -> list[Path]:
        places = [place for place in self.folder.glob("after-*") if _STATE.fullmatch(place.name)]
        return sorted((place for place in places if most is None or _position(place) <= most), reverse=True)


def _position(place: Path) -> int:
    return int(place.name.removeprefix("after-").removesuffix(".safetensors"))


def _read(place: Path, divided: Mapping[str, range]) -> tuple[dict[str, Tensor], dict[str, str]] | Damaged:
    """Read a state; what one process finds damaged none goes on from."""
    found: tuple[dict[str, Tensor], dict[str, str]] | Damaged
    try:
        found = read(place, divided)
    except Damaged as damage:
        found = damage
    if ranks.any_of(isinstance(found, Damaged)) and not isinstance(found, Damaged):
        return Damaged(f"{place} is damaged, as another process says: {MEND}")
    return found


def _tensors(roles: Roles, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """Gather what this process has of everything that a step changes."""
    tensors = {f"student/{key}": own(value) for key, value in roles.student.items()}
    tensors |= {f"teacher/{key}": own(value) for key, value in roles.teacher.items()}
    for key, value in roles.student.items():
        if value in optimizer.state:  # a weight that no loss reaches has no moments
            tensors |= {f"{name}/{key}": own(optimizer.state[value][name]) for name in _MOMENTS}
    return tensors


@torch.no_grad()
def _put_(tensors: Mapping[str, Tensor], roles: Roles, optimizer: torch.optim.AdamW) -> None:
    for part, weights in (("student", roles.student), ("teacher", roles.teacher)):
        for key, value in weights.items():
            own(value).copy_(tensors[f"{part}/{key}"])
    optimizer.state.clear()
    for key, value in roles.student.items():
        if f"step/{key}" in tensors:
            moments = {name: torch.zeros_like(value) for name in _MOMENTS[1:]}  # divided as the weight is
            for name, moment in moments.items():
                own(moment).copy_(tensors[f"{name}/{key}"])
            optimizer.state[value] = {"step": tensors[f"step/{key}"].cpu(), **moments}
