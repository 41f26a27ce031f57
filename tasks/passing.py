"""Failures that may pass by themselves: the network, a server that restarts, a training that was asked to end.

>>> may_pass(ConnectionRefusedError())  # True
"""

import re
from collections.abc import Iterator
from pathlib import Path
from socket import gaierror

from dopsd.processes.termination import EXIT_CODE, AskedToEnd, Terminated

_FILE = "exit_code"
_REASON = "reason.txt"
_ASKED = ", asked to end"
_MOST_CHARACTERS = 500
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_TO_END = (AskedToEnd, Terminated)
_PASSING = (ConnectionError, TimeoutError, gaierror, *_TO_END)


def may_pass(failure: BaseException) -> bool:
    """Tell whether the same may go well a little later; libraries wrap what the network did, so causes count."""
    return any(isinstance(one, _PASSING) for one in _causes(failure))


def note(state: Path, failure: BaseException | None) -> None:
    """Write into a stage's folder of state how its process ended, and why, for who started it through DVC."""
    state.mkdir(parents=True, exist_ok=True)
    code = 0 if failure is None else EXIT_CODE if may_pass(failure) else 1
    is_asked = failure is not None and any(isinstance(one, _TO_END) for one in _causes(failure))
    (state / _FILE).write_text(f"{code}{_ASKED if is_asked else ''}")
    (state / _REASON).write_text("" if failure is None else _in_a_line(failure))


def has_passing_failure(state: Path) -> bool:
    """Tell whether a stage's process ended last by a failure that may pass."""
    path = state / _FILE
    return path.is_file() and path.read_text().removesuffix(_ASKED) == str(EXIT_CODE)


def was_asked_to_end(state: Path) -> bool:
    """Tell whether a stage's process ended last because somebody asked it to."""
    path = state / _FILE
    return path.is_file() and path.read_text().endswith(_ASKED)


def reason(state: Path) -> str:
    """Say in a line why a stage's process ended last; nothing where it ended well, or had no time to leave word."""
    path = state / _REASON
    return path.read_text() if path.is_file() else ""


def _in_a_line(failure: BaseException) -> str:
    """Spell a failure out for people who are far away; what an address holds of credentials stays here."""
    said = " ".join(f"{type(failure).__name__}: {failure}".split())
    return _CREDENTIALS.sub("***", said)[:_MOST_CHARACTERS]


def _causes(failure: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = failure
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
