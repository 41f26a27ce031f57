"""Compare what was made again with what is kept of a version.

>>> compared(stages, record, Path("kept"), there).is_alike
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.ancestry.records import Record
from tasks.pipeline import PLACES
from tasks.rebuilding.conditions import STEPS, is_exact
from tasks.rebuilding.distance import Distance, distance
from tasks.versions.lineage import digest_of_trained, dvc_digest
from tasks.versions.version_commit import outs

TOLERANCE = 0.02
"""What a GPU may differ by, as a part of the norm of the worst tensor: chosen, and not yet measured on one."""


@dataclass(frozen=True)
class Rebuilt:
    """What came of making a version again.

    `weights` is the digest of the new weights, `recorded` that of the record. `differing` names the stages whose output
    is not, bit by bit, what it was, the first of them first. `tolerance` is 0 where the same bits are owed.
    """

    version: str
    is_alike: bool
    weights: str
    recorded: str
    differing: list[str]
    distance: Distance
    tolerance: float


def compared(stages: Mapping[str, Any], record: Record, kept: Path, there: Path) -> Rebuilt:
    """Compare the weights in `kept`, and what the stages before them wrote, with what lies in `there`."""
    made = there / PLACES["adapter"]
    weights, recorded = digest_of_trained(made), str(record.lineage["adapter"])
    apart, tolerance = distance(kept, made), 0.0 if is_exact(stages) else TOLERANCE
    return Rebuilt(
        version=record.version,
        is_alike=weights == recorded or apart.relative <= tolerance,
        weights=weights,
        recorded=recorded,
        differing=_differing(stages, there) + (["train"] if weights != recorded else []),
        distance=apart,
        tolerance=tolerance,
    )


def _differing(stages: Mapping[str, Any], there: Path) -> list[str]:
    """Name the stages before training that wrote something else than then."""
    digests, earlier = outs(stages), [(row.name, PLACES[row.writes[0]]) for row in STEPS if row.name != "train"]
    return [name for name, path in earlier if dvc_digest(there / path) != digests[path]]
