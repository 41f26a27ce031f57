"""What can happen to a trigger, one JSON object a line; a history of these is all that its state comes from.

    {"event": "arrived", "at": "2026-11-21T18:00:00Z", "image": "5f3a...", "file": "batch/rex.png"}

Times carry their zone. An image is named by its pixels: sent twice, or under two names, it is one image.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from tasks.triggers.checked import Record, checked


def _of_our_days(at: datetime) -> datetime:
    if not 2000 <= at.year < 3000:
        raise ValueError("write a time between the years 2000 and 3000, or seconds since 1970")
    return at


Time = Annotated[AwareDatetime, AfterValidator(_of_our_days)]


class Arrived(Record):
    """An image that was decoded and may be trained on; `file` is where it lies, an archive for what is packed."""

    event: Literal["arrived"] = "arrived"
    at: Time
    image: str = Field(min_length=1)
    file: str = ""


class Withdrawn(Record):
    """An image whose file was deleted or changed before a run took it."""

    event: Literal["withdrawn"] = "withdrawn"
    at: Time
    image: str = Field(min_length=1)


class Refused(Record):
    """A file that counts for nothing, and why; when it changes it is looked at again."""

    event: Literal["refused"] = "refused"
    at: Time
    file: str
    reason: str


class Fired(Record):
    """A run began to be wanted, and these images are its own until it ends."""

    event: Literal["fired"] = "fired"
    at: Time
    run: str = Field(min_length=1)
    images: tuple[str, ...]
    reason: str


class Ended(Record):
    """A run came to its end; the images of one that failed are new again."""

    event: Literal["ended"] = "ended"
    at: Time
    run: str = Field(min_length=1)
    outcome: Literal["completed", "failed"]


Event = Arrived | Withdrawn | Refused | Fired | Ended
_KINDS: Mapping[str, type[Event]] = {
    "arrived": Arrived,
    "withdrawn": Withdrawn,
    "refused": Refused,
    "fired": Fired,
    "ended": Ended,
}


@dataclass(frozen=True)
class History:
    """Events in the order they were written, and a message for each line that is none."""

    events: tuple[Event, ...]
    mistakes: tuple[str, ...]


def event(said: object, where: str) -> Event:
    """Check one event; raises ValueError that begins with `where` and names the key and the mend."""
    if not isinstance(said, Mapping):
        raise ValueError(f"{where}: {said!r} is no event: write an object with the key event")
    kind = _KINDS.get(str(said.get("event")))
    if kind is None:
        raise ValueError(f"{where}: event is {said.get('event')!r}: choose one of {', '.join(_KINDS)}")
    return checked(kind, said, where)


def line(happened: Event) -> str:
    """Write an event as one line, with its newline."""
    return json.dumps(happened.model_dump(mode="json"), ensure_ascii=False, sort_keys=True) + "\n"


def history(path: Path) -> History:
    """Read a history; a line that is no event is told and left out. Raises FileNotFoundError."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no history {path}: `dopsd trigger watch` writes one")
    events, mistakes = [], []
    for number, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        where = f"{path}, line {number}"
        if not text.strip():
            continue
        try:
            events.append(event(_json(text, where), where))
        except ValueError as mistake:
            mistakes.append(str(mistake))
    return History(tuple(events), tuple(mistakes))


def _json(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from error
