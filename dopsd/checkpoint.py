"""Everything needed to go on as if never stopped: student, teacher, moments and position, a file a state.

>>> checkpoint = Checkpoint(Path("runs/train"), identity(training, run, examples.digest))
>>> standing = checkpoint.restore_(roles, optimizer)  # Standing(position=0) where this run has not been here before

There is no random state to keep of any process, and no cursor: noise, order and rates are pure functions of seed and
step.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dopsd import ranks
from dopsd.recipe import Training
from dopsd.roles import Roles
from dopsd.run import Identity
from dopsd.standing import Standing
from dopsd.tensor_file import read, read_notes, write

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_MEND = "delete it to train from the start"
_log = logging.getLogger(__name__)


class Damaged(ValueError):
    """A state that cannot be read whole: cut short, or not what was written."""


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
        """Tell where the newest state of at most `most` iterations stands, as the first file says that can be read."""
        for path in self._newest_first(most):
            with suppress(ValueError):  # restoring tells of damage
                return Standing.read(read_notes(path, mend=_MEND))
        return Standing()

    def begin_(self, roles: Roles, optimizer: torch.optim.AdamW, training: Training) -> Standing:
        """Restore what there is. For a guard the beginning is saved too: what is left if nothing good comes of it."""
        standing = self.restore_(roles, optimizer, training.iterations)
        if training.stop_early and standing.position == 0:
            self.save(standing, roles, optimizer)
        return standing

    def save(self, standing: Standing, roles: Roles, optimizer: torch.optim.AdamW) -> None:
        """Add the state that `standing` tells of; a crash leaves it whole or not there, and the one before untouched.

        States of later iterations go, as do all but the last `kept` and the one that a guard would go back to. All
        processes of a training have the same state, and the first writes it.
        """
        if ranks.rank():
            return
        notes = standing.notes() | {"identity": self.identity.said, "world_size": str(ranks.world_size())}
        tensors = _tensors(roles, optimizer)
        write(tensors, self._path(standing.position), notes | {"digest": _digest(tensors, notes)})
        earlier = list(self._newest_first(standing.position))
        spared = {*earlier[: self.kept], self._path(standing.good)}
        for path in set(self.folder.glob("after-*")) - spared:  # what a kill left half written, too
            path.unlink()

    def restore_(self, roles: Roles, optimizer: torch.optim.AdamW, most: int | None = None) -> Standing:
        """Put the newest whole state of at most `most` iterations back; tell where it stands, at 0 where there is none.

        A damaged state is told on the log, and the one before serves. Raises ValueError with the reason where none is
        whole, or where one belongs to another run.
        """
        first: Damaged | None = None
        for path in self._newest_first(most):
            try:
                return self._put_back_(path, roles, optimizer)
            except Damaged as damage:
                _log.warning("%s; the state before it is tried", damage)
                first = first or damage
        if first is not None:
            raise first
        return Standing()

    def _put_back_(self, path: Path, roles: Roles, optimizer: torch.optim.AdamW) -> Standing:
        try:
            tensors, notes = read(path, mend=_MEND)
        except ValueError as error:
            raise Damaged(str(error)) from error
        if notes.pop("digest", None) != _digest(tensors, notes):
            raise Damaged(f"{path} is damaged (its digest differs): {_MEND}")
        if differences := self.identity.differences(notes["identity"]):
            raise ValueError(f"{path} belongs to another run ({'; '.join(differences)}): {_MEND}")
        if (before := notes.get("world_size", "1")) != (now := str(ranks.world_size())):
            _log.warning("%s is of %s processes, %s go on: sums round otherwise from here on", path, before, now)
        _put_(tensors, roles, optimizer)
        return Standing.read(notes)

    def _path(self, position: int) -> Path:
        return self.folder / f"after-{position:08d}.safetensors"

    def _newest_first(self, most: int | None) -> Iterator[Path]:
        paths = sorted(self.folder.glob("after-*.safetensors"), reverse=True)
        return (path for path in paths if most is None or path <= self._path(most))


def _tensors(roles: Roles, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    tensors = {f"student/{key}": value.detach() for key, value in roles.student.items()}
    tensors |= {f"teacher/{key}": value.detach() for key, value in roles.teacher.items()}
    for key, value in roles.student.items():
        if value in optimizer.state:  # a weight that no loss reaches has no moments
            tensors |= {f"{name}/{key}": optimizer.state[value][name] for name in _MOMENTS}
    return tensors


@torch.no_grad()
def _put_(tensors: Mapping[str, Tensor], roles: Roles, optimizer: torch.optim.AdamW) -> None:
    for part, weights in (("student", roles.student), ("teacher", roles.teacher)):
        for key, value in weights.items():
            value.copy_(tensors[f"{part}/{key}"])
    optimizer.state.clear()
    for key, value in roles.student.items():
        if f"step/{key}" in tensors:
            optimizer.state[value] = {
                name: tensors[f"{name}/{key}"].to("cpu" if name == "step" else value.device) for name in _MOMENTS
            }


def _digest(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(notes.items())).encode())
    for chunk in _bytes(tensors):
        digest.update(chunk)
    return digest.hexdigest()


def _bytes(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous()
        yield f"{key} {value.dtype} {tuple(value.shape)}".encode()
        yield value.flatten().view(torch.uint8).numpy().data
