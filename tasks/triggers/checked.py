"""Check what a person or another system wrote; each mistake is told with the place, the key and the mend.

policy = checked(Policy, {"min_new_images": 8}, "policy.yaml")
"""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails


class Record(BaseModel):
    """What came from outside and was checked: no key too many, and nobody changes it afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def checked(kind: type[AnyRecord], said: object, where: str) -> AnyRecord:
    """Read a record; raises ValueError with a line for each mistake, which begins with `where`."""
    if not isinstance(said, Mapping):
        raise ValueError(f"{where} holds {said!r}: write keys and values ({', '.join(kind.model_fields)})")
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        lines = [f"{where}: {_mend(details, list(kind.model_fields))}" for details in error.errors()]
        raise ValueError("\n".join(lines)) from error


def _mend(error: ErrorDetails, known: list[str]) -> str:
    """Turn one of pydantic's findings into the key, what is wrong with it, and what to do."""
    key, message = ".".join(str(part) for part in error["loc"]), error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1)
        return f"{key} is no key; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}")
    if error["type"] == "missing":
        return f"{key} is missing; add it"
    if error["type"] == "value_error" and not key:
        return message
    return f"{key} is {error['input']!r}: {message[0].lower()}{message[1:]}"
