"""The concepts that methods are compared on: a folder of images each, and beside it what to ask for.

data/concepts/star/         images, and captions beside some, as ingest takes them
data/concepts/star.yaml     class_noun: star
                            novel: ["a [V] on a red background", ...]

A style is a concept, too: `kind: style`, and a class noun such as "flat" for prompts that end in "[V] style".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.folders import read_yaml

Kind = Literal["object", "style"]


class _Sheet(BaseModel):
    model_config = ConfigDict(extra="forbid")
    class_noun: str = ""
    kind: Kind = "object"
    novel: list[str] = Field(min_length=1)


@dataclass(frozen=True)
class Concept:
    """One concept: the folder of its images, its class in plain words, new scenes to ask for, and what it is."""

    name: str
    folder: Path
    class_noun: str
    novel: tuple[str, ...]
    kind: Kind = "object"


def concepts(folder: Path) -> list[Concept]:
    """Read every concept under `folder`, by name.

    Raises FileNotFoundError where there are none, or where one lacks its sheet; ValueError for a sheet that is wrong.
    """
    images = sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []
    if not images:
        raise FileNotFoundError(f"{folder} holds no concepts: put a folder of images for each there, and NAME.yaml")
    return [_concept(path) for path in images]


def _concept(images: Path) -> Concept:
    path = images.with_name(f"{images.name}.yaml")
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: say class_noun and novel (scenes to ask for) of {images.name}")
    try:
        sheet = _Sheet.model_validate(read_yaml(path))
    except (yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error
    return Concept(images.name, images, sheet.class_noun, tuple(sheet.novel), sheet.kind)
