"""What params.yaml may say: one section a stage, one for the models; an unknown key is an error that names it.

    python -m tasks params        (every key with the value it has, defaults included)

The defaults are the paper's recipe (dopsd.recipe) and live in code alone; params.yaml holds what differs from them.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dopsd.recipe import JUDGED, Evaluation, Margins, Probing, Training

PARAMS_FILE = "params.yaml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Models(_Section):
    """The family, and a folder in the layout of the hub for each model; no defaults: params.yaml chooses.

    Two are for baselines alone, and may stay empty: `undistilled` is what the base was distilled from (sft-parent),
    `dedistillation` the folder of an adapter that undoes the distillation (sft-adapter).
    """

    family: str
    base: str
    vlm: str
    dino: str
    clip: str
    undistilled: str = ""
    dedistillation: str = ""


class Ingest(_Section):
    """What may enter the dataset. Megabytes are decimal; captions are counted in characters."""

    source: str
    max_megabytes: float = Field(64, gt=0)
    max_megapixels: float = Field(64, gt=0)
    min_side_px: int = Field(16, ge=1)
    max_caption_characters: int = Field(2000, ge=1)
    near_duplicates: Literal["keep", "drop"] = "keep"
    near_duplicate_bits: int = Field(4, ge=0, le=64)


class Caption(_Section):
    """How the vision-language model is asked for what nobody wrote; `placeholder` stands for the new concept."""

    instruction: str = "Describe this image in one sentence."
    placeholder: str = Field("[V]", min_length=1)
    batch_size: int = Field(8, ge=1)


class Embed(_Section):
    """The side of the square picture that everything learns at, and how many are encoded at once.

    `teacher_context` is how the teacher is shown the picture: "vlm" (read with the caption), "reference" (latents, for
    a family that edits) or "both"; "auto" is the family's usual way. `teacher_image` is which picture: the "target", or
    "another" of the dataset with the target's caption, each paired with one by `pairing_seed`. `class_noun` says what
    the concept is ("star"): dreambooth and pso learn beside it what the class looked like before; empty for the others.
    """

    image_side_px: int = Field(1024, ge=8)
    batch_size: int = Field(8, ge=1)
    teacher_context: Literal["auto", "vlm", "reference", "both"] = "auto"
    teacher_image: Literal["target", "another"] = "target"
    pairing_seed: int = Field(0, ge=0)
    class_noun: str = ""


_NEEDS = {
    "lpips_d": ("lpips",), "fid": ("inception",), "kid": ("inception",), "vlm_j": ("judge",), "quality_s": ("judge",),
    "aesthetic_s": ("judge",), "geneval": ("segmenter", "geneval"), "dpg": ("judge", "dpg"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Evaluate(Evaluation):
    """How models are compared, and on what: two files of prompts, one a line.

    `novel` puts the concept into new scenes, `retention` holds what must not change; so many training captions are said
    in other words. `class_noun` says what the concept is ("star") in words that any model knows; `kind` tells an
    object from a style. `earlier` are folders of panels that evaluate wrote for concepts learnt before.

    Some metrics need more, each a folder or a hub id: lpips_d needs `lpips`, fid and kid `inception`, geneval
    `segmenter` and the benchmark's file `geneval`, vlm_j, quality_s and aesthetic_s `judge`, dpg `judge` and its file
    `dpg`.
    """

    novel: str
    retention: str
    num_rewrites: int = Field(16, ge=1)
    class_noun: str = ""
    kind: Literal["object", "style"] = "object"
    earlier: tuple[str, ...] = ()
    lpips: str = ""
    inception: str = ""
    judge: str = ""
    segmenter: str = ""
    geneval: str = ""
    dpg: str = ""

    def __post_init__(self) -> None:
        """Refuse metrics whose model is not named, and a choice that the gate cannot judge by."""
        super().__post_init__()
        for metric in self.metrics:
            for key in _NEEDS.get(metric, ()):
                if not getattr(self, key):
                    raise ValueError(f"{key} is missing and metrics ask for {metric}: name a folder or a hub id")
        if missing := [metric for metric in JUDGED if metric not in self.metrics]:
            raise ValueError(f"metrics leave {missing[0]} out, which the gate judges by: add it")


class Register(_Section):
    """The name in the registry, and what the gate lets go."""

    model: str = Field("dopsd", pattern=r"^[\w.-]+$")
    margins: Margins = Margins()


class Compare(_Section):
    """What `dopsd compare` compares on: a folder of concepts, and a command that makes it where it is missing.

    `families` says for another family than that of `models` which folders it has: `base`, `undistilled` and so on.
    """

    concepts: str = "data/concepts"
    drawn_by: str = ""
    families: Mapping[str, Mapping[str, str]] = {}


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml."""

    models: Models
    ingest: Ingest
    evaluate: Evaluate
    caption: Caption = Caption()
    embed: Embed = Embed()
    probe: Probing = Probing()
    train: Training = Training()
    register: Register = Register()
    compare: Compare = Compare()

    __pydantic_config__ = {"extra": "forbid"}

    def __post_init__(self) -> None:
        """Refuse a parent that moves: what trained on it could not be made again."""
        if not re.fullmatch(r"base|v\d+", self.train.parent):
            said = f"train.parent is {self.train.parent!r}: write base or a version such as v3"
            raise ValueError(f"{said} (`dopsd run --parent champion` finds out which)")


def load(root: Path) -> Params:
    """Read params.yaml of a workspace; raises ValueError naming each key that is wrong and what to do."""
    return parse(_read(root))


def check_said(root: Path, keys: Iterable[str]) -> None:
    """Ask for `keys` to be written out, even where a default would do: DVC compares what stands in the file.

    Raises ValueError naming those that are not.
    """
    said = _read(root)
    for key in keys:
        section, _, name = key.partition(".")
        if section not in said:
            raise ValueError(f"{PARAMS_FILE}: {section} is missing; add `{section}: {{}}`")
        if name and name not in said[section]:
            raise ValueError(f"{PARAMS_FILE}: {key} is missing; add it, as other stages than {section} depend on it")


def _read(root: Path) -> Any:
    path = root / PARAMS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"there is no {PARAMS_FILE} in {root.resolve()}: go to the folder that holds it")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{PARAMS_FILE} is not YAML: {error}") from error


def parse(said: object) -> Params:
    """Check what params.yaml says; raises ValueError with a line for each mistake."""
    if not isinstance(said, Mapping):
        raise ValueError(f"{PARAMS_FILE} holds no sections: start with `models:` and `ingest:`")
    try:
        return _adapter().validate_python(said)
    except ValidationError as error:
        lines = [f"{PARAMS_FILE}: {_mend(details)}" for details in error.errors()]
        raise ValueError("\n".join(lines)) from error


@cache  # building it takes longer than all it does
def _adapter() -> TypeAdapter[Params]:
    return TypeAdapter(Params)


def resolved(params: Params) -> dict[str, dict[str, Any]]:
    """Spell out every key, defaults included, as plain JSON values."""
    values: dict[str, dict[str, Any]] = _adapter().dump_python(params, mode="json")
    return values


def look_up(params: Params, key: str) -> object:
    """Read one dotted key: a section ("train") or a value in it ("models.base")."""
    found: object = resolved(params)
    for part in key.split("."):
        assert isinstance(found, dict)
        found = found[part]
    return found


def _mend(error: ErrorDetails) -> str:
    """Turn one of pydantic's findings into the key, what is wrong with it, and what to do."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _known([str(part) for part in error["loc"][:-1]])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
        return f"{key} is no key; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}")
    if error["type"] == "missing":
        return f"{key} is missing; add it"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":  # a section of dopsd.recipe refuses in its own words, which name the key
        return f"{key}.{message}" if key else message
    return f"{key} is {error['input']!r}: {message[0].lower()}{message[1:]}"


def _known(place: list[str]) -> list[str]:
    """List the keys that are known at a place in the file."""
    kind: Any = Params
    for part in place:
        kind = _keys(kind)[part]
    return list(_keys(kind))


def _keys(kind: Any) -> dict[str, Any]:
    """List the keys of a section with their types; a section is a dataclass or one of pydantic's models."""
    if is_dataclass(kind):
        return {field.name: field.type for field in fields(kind)}
    return {name: field.annotation for name, field in kind.model_fields.items()}
