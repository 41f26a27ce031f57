"""The three things that are computed for an image and kept: what makes each, and everything that its key must name.

>>> KINDS["teacher"].key(pair, origin)
>>> KINDS["teacher"].make(encoder, [pair])
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from safetensors.torch import load, save
from torch import Tensor

from dopsd.examples import Example
from dopsd.family import Context, Encoder, TeacherContext
from tasks.crop import POLICY
from tasks.dataset import Pair
from tasks.store import key_of

SCHEMA = 1
"""Raise it when the code below, or an encoder's, gives another entry for the same key."""


@dataclass(frozen=True)
class Origin:
    """The weights and the number format that entries come from, and the way in which a teacher is shown pictures.

    `base` and `vision_language` are revisions.
    """

    family: str
    base: str
    vision_language: str
    dtype: str
    teacher_context: TeacherContext


@dataclass(frozen=True)
class Kind:
    """How one of the three is named and made; `make` gives one entry a pair, as safetensors bytes."""

    key: Callable[[Pair, Origin], str]
    make: Callable[[Encoder, Sequence[Pair]], list[bytes]]


def assembled(pair: Pair, entries: Mapping[str, bytes]) -> Example:
    """Join the entries of one image into what training reads."""
    student, teacher = (Context(**load(entries[role])) for role in ("student", "teacher"))
    plain = Context(**load(entries["plain"])) if "plain" in entries else None
    return Example(pair.id, student, teacher, load(entries["latents"])["latents"], plain)


def _student_key(pair: Pair, origin: Origin) -> str:
    return key_of({"kind": "student", "caption": pair.caption} | _making(origin))


def _teacher_key(pair: Pair, origin: Origin) -> str:
    reads: dict[str, object] = {"kind": "teacher", "caption": pair.caption}
    if origin.teacher_context != "reference":
        reads |= {"vision_language": origin.vision_language}
    if origin.teacher_context != "vlm":  # which was the only way once, and needs no word of its own
        reads |= {"teacher_context": origin.teacher_context}
    return key_of(reads | _picture(pair) | _making(origin))


def _latents_key(pair: Pair, origin: Origin) -> str:
    return key_of({"kind": "latents"} | _picture(pair) | _making(origin))


def _picture(pair: Pair) -> dict[str, object]:
    return {"image": pair.id, "side_px": pair.side_px, "crop": POLICY}


def _making(origin: Origin) -> dict[str, object]:
    """Name what every entry depends on; templates and layers are the family's code, read by these two libraries."""
    libraries = {name: version(name) for name in ("transformers", "diffusers")}
    return {"schema": SCHEMA, "family": origin.family, "base": origin.base, "dtype": origin.dtype} | libraries


def _students(encoder: Encoder, pairs: Sequence[Pair]) -> list[bytes]:
    return [_packed(context) for context in encoder.student_contexts([pair.caption for pair in pairs])]


def _teachers(encoder: Encoder, pairs: Sequence[Pair]) -> list[bytes]:
    captions, pictures = [pair.caption for pair in pairs], [pair.picture() for pair in pairs]
    return [_packed(context) for context in encoder.teacher_contexts(captions, pictures)]


def _latents(encoder: Encoder, pairs: Sequence[Pair]) -> list[bytes]:
    rows = encoder.latents([pair.picture() for pair in pairs])
    return [save({"latents": row.cpu().contiguous()}) for row in rows]


def _packed(context: Context) -> bytes:
    parts: dict[str, Tensor | None] = {"tokens": context.tokens, "reference": context.reference}
    return save({name: part.cpu().contiguous() for name, part in parts.items() if part is not None})


KINDS: Mapping[str, Kind] = {
    "student": Kind(_student_key, _students),
    "teacher": Kind(_teacher_key, _teachers),
    "latents": Kind(_latents_key, _latents),
}
