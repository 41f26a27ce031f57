"""Foresee the dataset that caption and embed will find when their turn comes.

>>> foreseen(Outlook(known, future.restored, rows), was, params, root).images
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.stage import PipelineStage

from tasks.params import Params
from tasks.planning.count import joined
from tasks.planning.foreseen import Foreseen, captions_of, images_of
from tasks.planning.intake import Source, taken_in
from tasks.planning.row import Decision, Row
from tasks.planning.trees import kept, listed

_HARMLESS = ("data: ", "output ", "asked for", "never ran here")
"""Reasons for which ingest runs again and yet gives for each file what it gave, or what can be looked up."""


@dataclass(frozen=True)
class Outlook:
    """What was decided: DVC's stages, the outputs that are restored by their paths, the rows of the plan."""

    known: Mapping[str, PipelineStage]
    restored: Mapping[str, Output]
    rows: Mapping[str, Row]

    def output(self, stage: str) -> Output:
        """Give the one output of a stage as it will be, where the stage does not run."""
        out = self.known[stage].outs[0]
        return self.restored.get(out.def_path, out)

    def is_cached(self, stage: str) -> bool:
        """Tell whether a stage surely does not run."""
        return self.rows[stage].decision is Decision.CACHED


def source_of(known: Mapping[str, PipelineStage]) -> Output:
    """Find the folder that ingest reads."""
    return next(dep for dep in known["ingest"].deps if not isinstance(dep, ParamsDependency))


def foreseen(outlook: Outlook, was: str, params: Params, root: Path) -> Foreseen:
    """Foresee images and captions; `was` is DVC's digest of the source folder as ingest read it."""
    recorded = images_of(outlook.output("ingest"))
    if outlook.is_cached("ingest"):
        return Foreseen(recorded, captions_of(outlook.output("caption")) if outlook.is_cached("caption") else None)
    taken = taken_in(_source(source_of(outlook.known), was, root), recorded, params.ingest)
    is_harmless = all(reason.startswith(_HARMLESS) for reason in outlook.rows["ingest"].reasons)
    return taken if is_harmless else replace(taken, certainty=joined(taken.certainty, "about"))


def _source(found: Output, was: str, root: Path) -> Source:
    """Say what the source held and holds; a single archive is a folder of one file."""
    path, there = Path(found.fs_path), listed(found)
    if path.is_dir():
        return Source(path, kept(was, root), there.files)
    return Source(path.parent, {path.name: was}, {path.name: str(there.hash_info.value)})
