"""When a run is due, as data: how many new images, how long to wait for more, how often at most.

    dopsd trigger simulate events.jsonl --policy policy.yaml

A policy file holds any of these keys; an empty one is the default policy.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BeforeValidator, Field, model_validator

from tasks.triggers.checked import Record, checked

_UNITS = ("days", "hours", "minutes", "seconds")
_SPELLED = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")


def duration(said: object) -> timedelta:
    """Read a time span such as 45s, 10m, 1h30m or 7d; raises ValueError for anything but that, a timedelta and 0."""
    if isinstance(said, timedelta):
        return said
    found = _SPELLED.fullmatch(said) if isinstance(said, str) and said else None
    if said == 0 and not isinstance(said, bool):
        return timedelta()
    if found is None:
        raise ValueError("write a time span with its units, such as 45s, 10m, 1h30m or 7d")
    return timedelta(**{unit: int(number) for unit, number in zip(_UNITS, found.groups(), strict=True) if number})


def spelled(span: timedelta) -> str:
    """Write a time span as `duration` reads it, in whole seconds."""
    left, parts = int(span.total_seconds()), ""
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, seconds)
        parts += f"{number}{unit}" if number else ""
    return parts or "0s"


Duration = Annotated[timedelta, BeforeValidator(duration)]


class Policy(Record):
    """What must hold before a run starts; a run that is under way is always waited for.

    A run is due with `min_new_images` (validated ones) after `quiet_for` without another, or when one has waited for
    `max_wait` (null: never for that alone). It still waits until `cooldown` after the last run ended, and until it
    would be one of at most `max_runs_per_day` in any 24 hours.
    """

    min_new_images: int = Field(8, ge=1)
    quiet_for: Duration = timedelta(minutes=10)
    max_wait: Duration | None = timedelta(days=7)
    cooldown: Duration = timedelta(hours=1)
    max_runs_per_day: int = Field(4, ge=1)

    @model_validator(mode="after")
    def _can_be_quiet(self) -> Self:
        if self.max_wait is not None and self.max_wait < self.quiet_for:
            said = f"max_wait ({spelled(self.max_wait)}) is shorter than quiet_for ({spelled(self.quiet_for)})"
            raise ValueError(f"{said}, which would never decide: raise the one or lower the other")
        return self


def load(path: Path) -> Policy:
    """Read a policy file; raises FileNotFoundError, or ValueError naming each key that is wrong and what to do."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no policy {path}: write one, such as `min_new_images: 8`")
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    return checked(Policy, {} if said is None else said, str(path))
