"""What is computed for an image and kept: captions and three encodings, and everything that the key of each must name.

>>> KEYS["teacher"](pair, origin)

No torch: `dopsd plan` asks for the same keys as the stages, which make the entries by `tasks.stores.making`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dopsd.families.catalogue import listed, teacher_context
from tasks.images.crop import POLICY
from tasks.images.dataset import Pair
from tasks.params import Params
from tasks.planning.fingerprint import made_by
from tasks.stores.store import key_of
from tasks.stores.weights import revision


@dataclass(frozen=True)
class Origin:
    """What encodings come from besides images and captions.

    `base` and `vision_language` are revisions of weights, `made_by` the digest of the code that encodes, with its
    libraries and its kind of numbers, `teacher_context` the way in which a teacher is shown pictures.
    """

    family: str
    base: str
    vision_language: str
    teacher_context: str
    made_by: str

    @classmethod
    def of(cls, params: Params, models: Mapping[str, Path], runs: Path, code: Mapping[str, str]) -> "Origin":
        """Find it for these params, folders of models and texts of code; raises ValueError naming a wrong key."""
        name = params.models.family
        try:
            way = teacher_context(name, params.embed.teacher_context)
        except ValueError as error:
            raise ValueError(f"embed.{error}") from error
        weights = revision(models["base"], runs), revision(models["vlm"], runs)
        makers = made_by(code, [("tasks.stores.making", "MAKERS"), (listed(name).encoder, "load_encoder")])
        return cls(name, *weights, way, makers)


def caption_keys(ids: Iterable[str], params: Params, vlm: Path, runs: Path, code: Mapping[str, str]) -> list[str]:
    """Give the keys of what the model says of the pictures called `ids`."""
    parts = {
        "kind": "caption",
        "instruction": params.caption.instruction,
        "vision_language": revision(vlm, runs),
        "made_by": made_by(code, [("tasks.stores.describing", "described")]),
    }
    return [key_of(parts | {"image": name}) for name in ids]


def _student_key(pair: Pair, origin: Origin) -> str:
    return key_of({"kind": "student", "caption": pair.caption} | _origin(origin))


def _teacher_key(pair: Pair, origin: Origin) -> str:
    reads = {"kind": "teacher", "caption": pair.caption, "teacher_context": origin.teacher_context}
    if origin.teacher_context != "reference":  # which no VLM reads
        reads |= {"vision_language": origin.vision_language}
    return key_of(reads | _picture(pair) | _origin(origin))


def _latents_key(pair: Pair, origin: Origin) -> str:
    return key_of({"kind": "latents"} | _picture(pair) | _origin(origin))


def _picture(pair: Pair) -> dict[str, object]:
    """Name what is seen; a square of a bucket is the square that it always was."""
    width, height = pair.size
    size = {"side_px": width} if width == height else {"width_px": width, "height_px": height}
    return {"image": pair.id, "crop": POLICY, **size}


def _origin(origin: Origin) -> dict[str, object]:
    """Name what every encoding depends on."""
    return {"family": origin.family, "base": origin.base, "made_by": origin.made_by}


KEYS: Mapping[str, Callable[[Pair, Origin], str]] = {
    "student": _student_key,
    "teacher": _teacher_key,
    "latents": _latents_key,
}
