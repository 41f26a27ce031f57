"""What a stage does, in digests: the code of ours that it reaches, the libraries of that code, the kind of numbers.

    python -m tasks.planning.fingerprint     (writes data/code.json, which DVC compares as params; `dvc repro` does it)

A pure function of the sources and the installation; neither torch nor the stage's code is imported. Its values, its
inputs and its models are DVC's to compare: params.yaml and the dependencies in dvc.yaml.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tasks.folders import read_yaml, sha256_of_json, write_json
from tasks.pipeline import STAGES, Stage
from tasks.planning.definitions import Module, read
from tasks.planning.installation import numerics, versions
from tasks.planning.reach import Reached, Target, reach
from tasks.planning.remembered import remembered

CODE = Path("data/code.json")
STAGE = "fingerprint"
ROOMS = ("dopsd", "tasks")
_NO_TRACE = frozenset({"tasks.pipeline", "tasks.progress", "tasks.tracking", "tasks.planning.fingerprint"})
"""What leaves no trace in an output: the table (what matters of it is in dvc.yaml), the bar, the way to MLflow, and
this file, by which entries of a store are named."""
_SECTIONS = {"tasks.params": frozenset({"Params"})}
"""A stage's params are the sections that it declares; the other fields of this class are none of its concern."""


@dataclass(frozen=True)
class Fingerprint:
    """The parts of one stage: definitions ("dopsd/weights/roles.py::Roles") and libraries, with digest or version."""

    code: Mapping[str, str]
    packages: Mapping[str, str]
    numerics: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def parts(self) -> dict[str, dict[str, str]]:
        """Give what DVC compares; definitions of a file share a line, as DVC is slow to write many into dvc.lock."""
        files: dict[str, list[str]] = {}
        for name, digest in self.code.items():
            path, _, definition = name.partition("::")
            files.setdefault(path, []).append(f"{definition}={digest}")
        lines = {path: " ".join(said) for path, said in files.items()}
        return {"code": lines, "packages": dict(self.packages), "numerics": dict(self.numerics)}


def fingerprints(sources: Mapping[str, str], stages: Iterable[Stage]) -> dict[str, Fingerprint]:
    """Compute the fingerprint of every stage from texts by path ("tasks/train.py").

    Raises ValueError naming a file that is no Python, or a stage without `run`.
    """
    return {name: _installed(found) for name, found in _followed(sources, stages).items()}


def made_by(sources: Mapping[str, str], roots: Iterable[Target]) -> str:
    """Digest what makes something that is kept: the code from `roots` on, its libraries, the kind of numbers.

    Raises ValueError as `fingerprints` does, and for a root that is not there.
    """
    return sha256_of_json(_installed(reach(_Modules(sources), roots, _NO_TRACE)).parts())


def definitions(code: Mapping[str, str]) -> dict[str, str]:
    """Take the lines of `parts()["code"]` apart again: digests by file and name."""
    said = [(path, entry.partition("=")) for path, line in code.items() for entry in line.split()]
    return {f"{path}::{name}": digest for path, (name, _, digest) in said}


def sources(root: Path, rooms: Iterable[Path]) -> dict[str, str]:
    """Read all Python files of the rooms (paths from `root`), by their path from where imports begin."""
    return {
        path.relative_to((root / room).parent).as_posix(): path.read_text(encoding="utf-8")
        for room in rooms
        for path in sorted((root / room).rglob("*.py"))
    }


def running() -> dict[str, str]:
    """Read the code that runs in this process, wherever the workspace is."""
    return sources(Path(__file__).parents[2], map(Path, ROOMS))


def rooms(root: Path) -> list[Path]:
    """Read from dvc.yaml where the code lies that DVC watches; raises ValueError for a file of an earlier version."""
    said = read_yaml(root / "dvc.yaml")
    if STAGE not in said["stages"]:
        raise ValueError(f"dvc.yaml has no stage {STAGE}: write it again with `python -m tasks.dvcfile`")
    return [Path(room) for room in said["stages"][STAGE]["deps"]]


def of(root: Path) -> dict[str, Fingerprint]:
    """Compute the fingerprints of the code in the workspace `root` as it is now."""
    found = sources(root, rooms(root))
    reached = remembered(found, STAGES, root, lambda: _followed(found, STAGES))
    return {stage.name: _installed(reached[stage.name]) for stage in STAGES}


def write(found: Mapping[str, Fingerprint], root: Path) -> bool:
    """Bring data/code.json up to date, whole or not at all; tells whether that changed anything."""
    wanted = as_json(found)
    if recorded(root) == wanted:
        return False
    write_json(root / CODE, wanted)
    return True


def as_json(found: Mapping[str, Fingerprint]) -> dict[str, object]:
    """Give what stands in data/code.json."""
    return {name: one.parts() for name, one in found.items()}


def recorded(root: Path) -> object:
    """Read data/code.json; None where it is missing or is no JSON, which the next write mends."""
    try:
        return json.loads((root / CODE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def recorded_of(stage: Stage, root: Path) -> object:
    """Read what data/code.json says of one stage; None where it says nothing."""
    said = recorded(root)
    return said.get(stage.name) if isinstance(said, dict) else None


def check(stage: Stage, root: Path) -> None:
    """Let a stage run under DVC; raises ValueError where data/code.json is not of the code that is about to run."""
    if recorded_of(stage, root) != of(root)[stage.name].parts():
        raise ValueError(
            f"{CODE} is not of the code as it is now: `python -m tasks.planning.fingerprint`, then run again"
        )


class _Modules(Mapping[str, Module]):
    """Files by the name they are imported by, each read when it is first reached: half of them never are."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._paths = {".".join(Path(path).with_suffix("").parts).removesuffix(".__init__"): path for path in sources}

    def __getitem__(self, name: str) -> Module:
        return _module(name, self._paths[name], self._sources[self._paths[name]])

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


@lru_cache(maxsize=512)  # a flow plans before every stage
def _module(name: str, path: str, text: str) -> Module:
    try:
        return read(name, path, text, _SECTIONS.get(name, frozenset()))
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}; mend it, or no stage can be planned") from error


def _followed(sources: Mapping[str, str], stages: Iterable[Stage]) -> dict[str, Reached]:
    modules = _Modules(sources)
    return {stage.name: _reached(stage, modules) for stage in stages}


def _reached(stage: Stage, modules: Mapping[str, Module]) -> Reached:
    sections = {key.partition(".")[0] for key in stage.params}
    roots = [(stage.module, "run"), *(("tasks.params", f"Params.{name}") for name in sorted(sections))]
    return reach(modules, roots, _NO_TRACE if stage.is_cached else frozenset())


def _installed(found: Reached) -> Fingerprint:
    """Add what is installed here to what the code reaches."""
    kind = numerics() if "torch" in found.libraries else {}
    return Fingerprint(found.code, versions(found.libraries), kind, tuple(found.warnings))


def main() -> int:
    """Write the file for the workspace in the current folder, and tell what could not be followed."""
    found = of(Path())
    write(found, Path())
    for warning in sorted({warning for one in found.values() for warning in one.warnings}):
        print(f"warning: {warning}: changes of what it leads to go unseen", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
