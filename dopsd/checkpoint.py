"""Everything needed to go on as if never stopped: student, teacher, moments and position, in one file.

>>> checkpoint = Checkpoint(Path("runs/train"), identity)
>>> start = checkpoint.restore_(roles, optimizer)  # 0 where this run has not been here before

There is no random state to keep: noise and order are pure functions of seed and step.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dopsd.roles import Roles
from dopsd.tensor_file import read, read_notes, write

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_MEND = "delete it to train from the start"


@dataclass(frozen=True)
class Checkpoint:
    """The state of one run in `folder`; `identity` digests all that decides its outcome, and names the file.

    A run with other settings or data has another file, so it starts anew rather than from what is not its own.
    """

    folder: Path
    identity: str

    @property
    def path(self) -> Path:
        """Where the state lies."""
        return self.folder / f"{self.identity[:16]}.safetensors"

    @property
    def position(self) -> int:
        """Iterations already done, as the file says; 0 where nothing was saved."""
        if not self.path.exists():
            return 0
        return int(read_notes(self.path, mend=_MEND)["position"])

    def save(self, step: int, roles: Roles, optimizer: torch.optim.AdamW) -> None:
        """Replace the state by the one after `step` iterations; a crash leaves the old or the new one whole."""
        tensors = {f"student/{key}": value.detach() for key, value in roles.student.items()}
        tensors |= {f"teacher/{key}": value.detach() for key, value in roles.teacher.items()}
        for key, value in roles.student.items():
            if value in optimizer.state:  # a weight that no loss reaches has no moments
                tensors |= {f"{name}/{key}": optimizer.state[value][name] for name in _MOMENTS}
        notes = {"position": str(step), "identity": self.identity}
        write(tensors, self.path, notes | {"digest": _digest(tensors, notes)})

    @torch.no_grad()
    def restore_(self, roles: Roles, optimizer: torch.optim.AdamW) -> int:
        """Put the saved state back; return the iterations already done, 0 where nothing was saved.

        Raises ValueError for a file that is damaged, or that belongs to another run.
        """
        if not self.path.exists():
            return 0
        tensors, notes = read(self.path, mend=_MEND)
        claimed = notes.pop("digest", None)
        if claimed != _digest(tensors, notes) or notes["identity"] != self.identity:
            raise ValueError(f"{self.path} is damaged or belongs to another run (its digest differs): {_MEND}")
        for part, weights in (("student", roles.student), ("teacher", roles.teacher)):
            for key, value in weights.items():
                value.copy_(tensors[f"{part}/{key}"])
        for key, value in roles.student.items():
            if f"step/{key}" in tensors:
                optimizer.state[value] = {
                    name: tensors[f"{name}/{key}"].to("cpu" if name == "step" else value.device) for name in _MOMENTS
                }
        return int(notes["position"])


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
