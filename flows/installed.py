"""Whether the installed libraries are those that the project needs, and those that it was tested with.

print(requirements(Path()).sentence); print(lock(Path()).sentence)
"""

import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import Version

Level = Literal["good", "warning", "bad"]
_MOST_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """What was seen; "warning" for what a run survives, "bad" for what it does not."""

    level: Level
    sentence: str


def requirements(root: Path) -> Finding:
    """Compare what is installed with what the project needs."""
    path, wrong = root / "pyproject.toml", []
    if not path.is_file():
        return Finding("warning", "there is no pyproject.toml here: nothing says what is needed")
    asked = [Requirement(text) for text in tomllib.loads(path.read_text())["project"]["dependencies"]]
    for row in asked:
        found = installed(row.name)
        if found is None or not row.specifier.contains(found, prereleases=True):
            wrong.append(f"{row.name}{row.specifier} is {found or 'missing'}")
    if wrong:
        return Finding("bad", f"{'; '.join(wrong)}: `make` installs what pyproject.toml asks for")
    return Finding("good", f"{len(asked)} libraries are as pyproject.toml asks")


def lock(root: Path) -> Finding:
    """Compare what is installed with the versions that the project was tested with."""
    path = root / "constraints.txt"
    if not path.is_file():
        return Finding("warning", "there is no constraints.txt here: nothing says which versions were tested")
    pins = dict(line.split("  #")[0].split("==") for line in path.read_text().splitlines() if "==" in line[:60])
    found = {name: installed(name) for name in pins}
    other = [
        f"{name} {has} ({pins[name]})" for name, has in found.items() if has and _public(has) != _public(pins[name])
    ]
    if other:
        more = f" and {len(other) - _MOST_NAMED} more" if len(other) > _MOST_NAMED else ""
        return Finding(
            "warning", f"untested versions: {', '.join(other[:_MOST_NAMED])}{more}; `make` installs the tested"
        )
    return Finding("good", f"{sum(map(bool, found.values()))} libraries are as constraints.txt says")


def installed(name: str) -> str | None:
    """Give the version of a distribution; None where it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _public(said: str) -> str:
    """Leave out what a build adds, such as +cpu."""
    return Version(said.strip()).public
