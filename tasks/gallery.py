"""Pictures of a training while it runs: what student and teacher draw, and how the student's picture comes about.

>>> gallery = Gallery(state / "looks", captions, lambda: line.load_decoder(base, fastest()))
>>> gallery.add(record.step, record.look)
>>> gallery.show(tracked.show)

A training on a GPU has no room for a VAE: its looks wait as latents, and are decoded when it is done. Looks outlive the
process, and each is shown once, however often training goes back to a checkpoint.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from PIL.Image import Image

from dopsd.family import Decoder
from dopsd.looks import Look
from dopsd.tensor_file import read, write
from tasks.scoring.grid import grid

Show = Callable[[str, int, Image], None]
"""Take a picture by its name and iteration."""


class Gallery:
    """The looks of one training, in a folder of its own; `captions` are the headings of their columns, by id."""

    def __init__(self, folder: Path, captions: Mapping[str, str], load: Callable[[], Decoder]) -> None:
        """Take what decodes as a way to load it: where nothing is to be shown, nothing is loaded."""
        self._folder, self._captions, self._load = folder, captions, load

    def add(self, step: int, look: Look) -> None:
        """Keep a look until it is shown, unless it was shown before."""
        path = self._folder / f"{step:08d}.safetensors"
        if not path.with_suffix(".shown").exists():
            write({"student": look.student, "teacher": look.teacher}, path, {"ids": " ".join(look.ids)})

    def show(self, show: Show) -> None:
        """Decode all looks that wait, oldest first: as "samples" of both, and the student's "trajectory"."""
        for path in sorted(self._folder.glob("*.safetensors")):
            tensors, notes = read(path, mend="delete it")
            headings = [self._captions[name] for name in notes["ids"].split()]
            steps = [self._decoder.pictures(step) for step in tensors["student"]]
            rows = {"student": steps[-1], "teacher": self._decoder.pictures(tensors["teacher"])}
            show("samples", int(path.stem), grid(rows, headings))
            show("trajectory", int(path.stem), grid(_numbered(steps), headings))
            path.replace(path.with_suffix(".shown"))

    @cached_property
    def _decoder(self) -> Decoder:
        return self._load()


def _numbered(steps: Sequence[Sequence[Image]]) -> dict[str, Sequence[Image]]:
    return {f"step {number}": pictures for number, pictures in enumerate(steps, start=1)}
