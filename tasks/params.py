"""What params.yaml may say: one section a stage, one for the models; an unknown key is an error that names it.

    python -m tasks params        (every key with the value it has, defaults included)

The defaults are the paper's recipe (dopsd.recipe) and live in code alone; params.yaml holds what differs from them.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dopsd.judging import Probing
from dopsd.recipe import Training
from tasks.folders import read_yaml
from tasks.sections import Caption, Compare, Embed, Evaluate, Ingest, Machine, Models, Register, Replay

PARAMS_FILE = "params.yaml"


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
    replay: Replay = Replay()
    machine: Machine = Machine()
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
        return read_yaml(path)
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


def of_family(params: Params, family: str) -> Params:
    """Put another family's folders in the place of those in `models`; raises ValueError where none are said."""
    if family == params.models.family:
        return params
    said = params.compare.families.get(family)
    if said is None:
        raise ValueError(f"family {family}: {PARAMS_FILE} has no folders for it; add compare.families.{family}")
    models = params.models.model_validate(params.models.model_dump() | dict(said) | {"family": family})
    return replace(params, models=models)
