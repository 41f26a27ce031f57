"""Examples to learn from, as embed leaves them: one safetensors file an image, and an order that can be resumed.

>>> examples = Examples.read(Path("data/embeddings/entries"))
>>> examples.batch(step=0, size=4, seed=0)
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from dopsd.dataset.turns import turn
from dopsd.family import Context
from dopsd.tensor_file import read, write


@dataclass(frozen=True)
class Example:
    """An image to learn: what the student reads (text), what the teacher reads (text, image), latents (c, h, w).

    `plain` is the caption in words that the base knows, a class in the concept's place; some methods need it. `others`
    are the same image with its other captions.
    """

    id: str
    student: Context
    teacher: Context
    latents: Tensor
    plain: Context | None = None
    others: tuple["Example", ...] = ()

    @property
    def in_plain_words(self) -> Context:
        """Give `plain`; raises ValueError where it was not embedded."""
        if self.plain is None:
            raise ValueError(
                f"{self.id} has no caption in plain words, which the base could draw the class from: say in "
                "embed.class_noun what the concept is (such as star), and run embed again"
            )
        return self.plain


@dataclass(frozen=True)
class Examples:
    """A set of examples in the order of their ids, with the digest of their content."""

    rows: tuple[Example, ...]
    digest: str

    @classmethod
    def read(cls, folder: Path) -> "Examples":
        """Read every entry of `folder`. Raises FileNotFoundError for an empty one, ValueError for a damaged entry."""
        paths = sorted(folder.glob("*.safetensors"))
        if not paths:
            raise FileNotFoundError(f"{folder} holds no *.safetensors: run the embed stage first")
        digest = hashlib.sha256()
        for path in paths:
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return cls(tuple(read_example(path) for path in paths), digest.hexdigest())

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Example]:
        """Go through the examples in the order of their ids."""
        return iter(self.rows)

    def batch(self, step: int, size: int, seed: int) -> list[Example]:
        """Draw the batch of iteration `step`: a pure function of its arguments, so resuming needs no cursor.

        Latents of one shape make a lane. Every lane is an endless row of fresh shuffles, cut into batches of `size`,
        so that none is dropped, however short its lane; lanes take turns by their lengths, and all examples are seen
        equally often. Of several captions each row draws one, by its position alone.
        """
        lanes = _lanes(self.rows)
        now = turn([len(lane) for lane in lanes], size=size, step=step, seed=seed)
        first = now.number * size
        return [_drawn(lanes[now.lane], position, seed, now.lane) for position in range(first, first + size)]


def save_example(example: Example, path: Path) -> None:
    """Write an entry whole or not at all."""
    tensors = {"latents": example.latents}
    if example.teacher.reference is not None:
        tensors["teacher_reference"] = example.teacher.reference
    for number, row in enumerate((example, *example.others)):
        contexts = {"student": row.student, "teacher": row.teacher, "plain": row.plain}
        tensors |= {_name(role, number): context.tokens for role, context in contexts.items() if context is not None}
    write(tensors, path)


def read_example(path: Path) -> Example:
    """Read an entry; its id is the name of the file. Raises ValueError naming a damaged or foreign file."""
    tensors, _ = read(path, mend="delete it and run the embed stage again")
    captions = range(max(1, sum(name.startswith("student") for name in tensors)))
    needed = {"latents", *(_name(role, number) for role in ("student", "teacher") for number in captions)}
    if not needed <= set(tensors) <= {*needed, "teacher_reference", *(_name("plain", number) for number in captions)}:
        raise ValueError(
            f"{path} holds {sorted(tensors)}, an example holds {sorted(needed)}: run the embed stage again"
        )
    first, *others = (_worded(path.stem, tensors, number) for number in captions)
    return replace(first, others=tuple(others))


def _name(role: str, number: int) -> str:
    """Name the context for one of the captions: "student", "student.1" and so on."""
    return f"{role}.{number}" if number else role


def _worded(name: str, tensors: Mapping[str, Tensor], number: int) -> Example:
    """Give the image with one of its captions; what is seen of the picture is the same with all."""
    student, teacher = (tensors[_name(role, number)] for role in ("student", "teacher"))
    shown, plain = Context(teacher, tensors.get("teacher_reference")), tensors.get(_name("plain", number))
    return Example(name, Context(student), shown, tensors["latents"], None if plain is None else Context(plain))


def _lanes(rows: Sequence[Example]) -> list[list[Example]]:
    shapes = sorted({tuple(row.latents.shape) for row in rows})
    return [[row for row in rows if tuple(row.latents.shape) == shape] for shape in shapes]


def _drawn(lane: Sequence[Example], position: int, seed: int, salt: int) -> Example:
    shuffle, place = divmod(position, len(lane))
    example = lane[_shuffled(len(lane), seed, shuffle, salt + 1)[place]]
    worded = (example, *example.others)
    return worded[np.random.default_rng((seed, position, salt, 1)).integers(len(worded))]  # no shuffle has four numbers


def _shuffled(count: int, *entropy: int) -> list[int]:
    return np.random.default_rng(entropy).permutation(count).tolist()
