"""What differs from what DVC recorded of a stage's last run, in words and down to the component.

data: +3 images -1            code: dopsd/captions.py::clean changed        params: train.learning_rate 4e-5 -> 2e-5
model: revision of models/vlm       env: diffusers 0.42.1 -> 0.43
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.output import Output

from tasks.pipeline import PLACES, Stage, producer
from tasks.planning.fingerprint import definitions
from tasks.planning.trees import said, state

_NOTHING = "(nothing)"
_WORDS = {"modified": "changed", "deleted": "is missing", "new": "is new", "not in cache": "is lost"}
Parts = Mapping[str, Mapping[str, str]]


def word(state: str) -> str:
    """Say one of DVC's states."""
    return _WORDS[state]


def changed_params(dep: ParamsDependency) -> Iterator[str]:
    """List the keys of params.yaml that changed, with both values."""
    old, new = flat(dep.hash_info.value or {}), flat(dep.read_params())
    for key in _changed(old, new):
        yield f"params: {key} {old.get(key, _NOTHING)} -> {new.get(key, _NOTHING)}"


def changed_code(old: Parts, new: Parts) -> Iterator[str]:
    """List definitions and libraries whose digests or versions changed, between two fingerprints of a stage."""
    was, code = definitions(old.get("code", {})), definitions(new["code"])
    for name in _changed(was, code):
        happened = "is gone" if name not in code else "changed" if name in was else "is new"
        yield f"code: {name} {happened}"
    for part in ("packages", "numerics"):
        before, after = old.get(part, {}), new[part]
        for name in _changed(before, after):
            yield f"env: {name} {before.get(name, _NOTHING)} -> {after.get(name, _NOTHING)}"


def changed_input(dep: Output, place: str, root: Path) -> Iterator[str]:
    """Say how a file or folder differs: images by count, models by revision."""
    if found := state(dep):
        if found == "modified" and place == "source" and (counted := said(dep, root)):
            yield f"data: {counted}"
        elif found == "modified" and PLACES[place].startswith("${models."):
            yield f"model: revision of {dep.def_path}"
        else:
            yield f"{kind(place)}: {dep.def_path} {word(found)}"


def kind(place: str) -> str:
    """Say what a place holds: a model, the user's own files, or what a stage made."""
    if PLACES[place].startswith("${models."):
        return "model"
    return "data" if place == "source" or producer(place) else "input"


def place_of(dep: Output, stage: Stage, root: Path, located: Mapping[str, Path]) -> str:
    """Find the name of what a dependency is; one that two places share has the first's name."""
    return next(place for place in stage.reads if (root / located[place]).resolve() == Path(dep.fs_path).resolve())


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in dict.fromkeys([*new, *old]) if old.get(key, _NOTHING) != new.get(key, _NOTHING)]


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Spell nested values with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{above}{key}"
        found |= flat(value, f"{path}.") if isinstance(value, Mapping) and value else {path: value}
    return found
