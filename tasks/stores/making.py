"""Make the three encodings of an image, as safetensors bytes, and join them into what training reads.

>>> MAKERS["teacher"](encoder, [shown("teacher", pair)])

The keys of entries name this code and all that it reaches: change it, and they are made again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from PIL.Image import Image
from safetensors.torch import load, save
from torch import Tensor

from dopsd.dataset.examples import Example
from dopsd.family import Context, Encoder
from tasks.images.dataset import Pair

Shown = tuple[str, Image | None]
"""A caption, and the picture for what reads one."""
Make = Callable[[Encoder, Sequence[Shown]], list[bytes]]


def assembled(pair: Pair, entries: Mapping[str, bytes]) -> Example:
    """Join the entries of one image into what training reads."""
    endings = ["", *(f".{number}" for number in range(1, 1 + len(pair.others)))]
    first, *others = (_worded(pair.id, entries, ending) for ending in endings)
    return replace(first, others=tuple(others))


def _worded(name: str, entries: Mapping[str, bytes], ending: str) -> Example:
    """Join the latents with the contexts for one of the captions."""
    student, teacher = (Context(**load(entries[role + ending])) for role in ("student", "teacher"))
    plain = Context(**load(entries["plain" + ending])) if "plain" + ending in entries else None
    return Example(name, student, teacher, load(entries["latents"])["latents"], plain)


def shown(kind: str, pair: Pair) -> Shown:
    """Read what an entry of this kind is made from."""
    return pair.caption, None if kind == "student" else pair.picture()


def _students(encoder: Encoder, rows: Sequence[Shown]) -> list[bytes]:
    return [_packed(context) for context in encoder.student_contexts([caption for caption, _ in rows])]


def _teachers(encoder: Encoder, rows: Sequence[Shown]) -> list[bytes]:
    contexts = encoder.teacher_contexts([caption for caption, _ in rows], [picture for _, picture in rows])
    return [_packed(context) for context in contexts]


def _latents(encoder: Encoder, rows: Sequence[Shown]) -> list[bytes]:
    found = encoder.latents([picture for _, picture in rows if picture])
    return [save({"latents": row.cpu().contiguous()}) for row in found]


def _packed(context: Context) -> bytes:
    parts: dict[str, Tensor | None] = {"tokens": context.tokens, "reference": context.reference}
    return save({name: part.cpu().contiguous() for name, part in parts.items() if part is not None})


MAKERS: Mapping[str, Make] = {"student": _students, "teacher": _teachers, "latents": _latents}
