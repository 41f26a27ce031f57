"""Ask git about a folder, whatever called us: one of its hooks, say, sets variables that name another index.

>>> said(Path(), "rev-parse", "HEAD")
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_OF_ONE_REPOSITORY = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES",
)  # fmt: skip
_QUIET = ("-c", "core.hooksPath=/dev/null", "--no-optional-locks")
"""A checkout of ours is no event for the user's hooks; asking for the status must not rewrite their index."""


def environment() -> Mapping[str, str]:
    """Give ours without what ties git to one repository."""
    return {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}


def said(root: Path, *question: str, given: str | None = None, **variables: str) -> str:
    """Give git's answer without its last newline, with `given` on its stdin; raises ValueError with its complaint."""
    command, ours = ["git", *_QUIET, *question], {**environment(), **variables}
    try:
        answer = subprocess.run(
            command, cwd=root, env=ours, input=given, capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError as error:
        raise ValueError("there is no git here: install it") from error
    if answer.returncode:
        raise ValueError(f"git {question[0]} in {root.resolve()}: {answer.stderr.strip() or 'no answer'}")
    return answer.stdout.removesuffix("\n")


def said_if_it_can(root: Path, *question: str, given: str | None = None) -> str | None:
    """Give git's answer; None where it has none, or where there is no git."""
    try:
        return said(root, *question, given=given)
    except ValueError:
        return None
