"""What the base drew, kept for whoever is compared with it next on the same prompts and noise.

>>> BaseWalks(Path("base"), "tiny-z-image@3f0c").walk(contexts, seeds, [8, 10, 10, 4], draw)

A file a batch, named by the base, what it read, its noise and its steps; deleting one costs drawing it again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dopsd.family import Context
from dopsd.sampling import Walk
from dopsd.tensor_file import read, write
from tasks.folders import sha256_of_json
from tasks.planning.installation import numerics

FOLDER = "base"
"""Under the state of evaluate; where this folder is, roll-outs are kept in it."""


@dataclass(frozen=True)
class BaseWalks:
    """Roll-outs of one base (model@revision) in `folder`."""

    folder: Path
    base: str

    def walk(
        self, contexts: Sequence[Context], seeds: Sequence[int], size: Sequence[int], draw: Callable[[], Walk]
    ) -> Walk:
        """Read a roll-out, or draw and keep it; `size` is the latents' shape and the number of steps.

        Raises ValueError for a file that is damaged.
        """
        about = [self.base, numerics(), list(map(_digest, contexts)), list(seeds), list(size)]
        path = self.folder / f"{sha256_of_json(about)[:16]}.safetensors"
        if path.is_file():
            return Walk(**read(path, mend="delete it, and it is drawn again")[0])
        made = draw()
        write({"latents": made.latents, "velocities": made.velocities, "sigmas": made.sigmas}, path)
        return made


def _digest(context: Context) -> str:
    assert context.reference is None, "a base is asked in words"
    tokens = context.tokens.contiguous().float().numpy()
    return hashlib.sha256(repr(tokens.shape).encode() + tokens.tobytes()).hexdigest()
