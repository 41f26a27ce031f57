"""The stages that somebody remembers: locks of this folder and of runs, the commits of versions, DVC's run-cache.

>>> Remembered.of(Path(), records(Path(), "dopsd"), runs).versions["v3"]  # what each of its stages read and wrote
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.ancestry.records import Record
from tasks.git import said_if_it_can
from tasks.pipeline import PLACES
from tasks.runner import RUNS
from tasks.versions.version_commit import LOCK, outs

Stage = Mapping[str, Any]
Files = Mapping[str, str]
"""Digests by the names that a list of files gives them."""


@dataclass(frozen=True)
class Remembered:
    """Stages with what they read and wrote: those of each version, and others."""

    versions: Mapping[str, Sequence[Stage]]
    others: Sequence[Stage]

    @classmethod
    def of(cls, root: Path, known: Mapping[str, Record], run_cache: Path) -> "Remembered":
        """Read them all."""
        prefix = said_if_it_can(root, "rev-parse", "--show-prefix") or ""
        locks = [root / LOCK, *(root / RUNS / "recorded").glob(f"*/{LOCK}")]
        others = [stage for path in locks if path.is_file() for stage in _stages(path.read_text())]
        others += [yaml.safe_load(path.read_text()) or {} for path in run_cache.glob("*/*/*")]
        commits = {version: f"{record.commit}:{prefix}{LOCK}" for version, record in known.items()}
        told = {version: said_if_it_can(root, "show", name) or "" for version, name in commits.items()}
        return cls({version: _stages(text) for version, text in told.items()}, others)

    @property
    def all(self) -> Iterator[Stage]:
        """List the stages of everybody."""
        yield from self.others
        for stages in self.versions.values():
            yield from stages

    def without_it(self, lists: Mapping[str, Files], showing: set[str], clean: set[str]) -> Iterator[Files]:
        """List the folders that cannot show the picture: of `clean` versions, and of stages that did not read it.

        `showing` are the lists that name it. A stage of whose pictures no list is left may have read anything.
        """
        for version in clean & self.versions.keys():
            yield from (lists.get(str(one), {}) for one in _written(*self.versions[version]))
        for stage in self.all:
            read = {dep["path"]: str(dep.get("md5")) for dep in stage.get("deps", [])}
            if read.get(PLACES["images"]) in lists and showing.isdisjoint(read.values()):
                yield from (lists.get(str(one), {}) for one in _written(stage))


def _written(*stages: Stage) -> list[str | None]:
    return list(outs({str(number): stage for number, stage in enumerate(stages)}).values())


def _stages(lock: str) -> list[Stage]:
    return list(((yaml.safe_load(lock) or {}).get("stages") or {}).values())
