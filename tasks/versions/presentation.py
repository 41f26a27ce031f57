"""What MLflow shows of a version besides its weights: its record, pictures and page, and the tags of its run.

>>> present(Entered(...), judged, root, room.reads)
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks import tracking
from tasks.ancestry.records import CAPTIONS, change, records
from tasks.folders import read_rows, sha256_of_json
from tasks.versions import registry, run_record
from tasks.versions.lineage import Lineage
from tasks.versions.verdict import Judged
from tasks.versions.verdict_picture import picture
from tasks.versions.version_page import Facts, page

_TOLD = "scores_sha256"


@dataclass(frozen=True)
class Entered:
    """A version that the registry has; `said` tells who entered it, what had started the run, and when, in UTC."""

    model: str
    version: str
    record: Lineage
    run_id: str
    said: Mapping[str, str]
    commit: str


def tell(run_id: str, record: Lineage, reads: Mapping[str, Path], model_id: str) -> None:
    """Put beside the curves what the run learnt from, what came out, and how it looks; once."""
    digest = sha256_of_json(record.scores)
    if tracking.tag(run_id, _TOLD) == digest:
        return
    tracking.log_dataset(run_id, "images", record.dataset, record.num_images, model_id)
    tracking.log_scores(run_id, record.scores["models"])
    grids = {name: reads[name] / "grid.png" for name in ("scores", "probe")}
    tracking.log_pictures(run_id, {name: path for name, path in grids.items() if path.is_file()})  # or taken down
    tracking.set_tag(run_id, _TOLD, digest)


def present(entered: Entered, judged: Judged, root: Path, reads: Mapping[str, Path]) -> None:
    """Write the page of a version, and what belongs to it; the tag `commit` comes last, and says that all is there."""
    name, version, record = entered.model, entered.version, entered.record
    run_record.seal(name, version, "verdict.png", picture(judged.decision))
    if (grid := reads["scores"] / "grid.png").is_file():  # a version that is restored may have lost it to a takedown
        run_record.seal(name, version, "grid.png", grid.read_bytes())
    registry.describe(name, version, page(_facts(entered, judged, root, reads)))
    found = {"version": version, "verdict": str(judged.decision.verdict), "base": record.base, "parent": record.parent}
    for key, value in {**found, **entered.said, "commit": entered.commit}.items():
        tracking.set_tag(entered.run_id, key, value)
    registry.tag(name, version, "commit", entered.commit)


def _facts(entered: Entered, judged: Judged, root: Path, reads: Mapping[str, Path]) -> Facts:
    """Gather what the version's page tells."""
    known = records(root, entered.model)
    parent, own = known.get(entered.record.parent), known.get(entered.version)
    return Facts(
        record=entered.record,
        entered=entered.said,
        commit=own.commit if own else None,
        num_captions=Counter(row["source"] for row in read_rows(reads["captions"] / CAPTIONS)),
        change=change(root, own, parent) if own and parent else None,
        decision=judged.decision,
        rival=judged.rival,
        run_id=entered.run_id,
    )
