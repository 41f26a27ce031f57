"""The gate's verdict on a version: judged against base, parent and the champion of the moment, and entered once.

>>> verdict("v7", record, room).decision.verdict
"""

import json
from dataclasses import dataclass
from pathlib import Path

from dopsd.gate import Decision, judge
from tasks.folders import sha256_of_json
from tasks.intervals import differences
from tasks.params import Params
from tasks.pipeline import Room
from tasks.versions import marks, promotion, run_record
from tasks.versions.lineage import Lineage
from tasks.versions.marks import Marks

_MARKS = "marks.json"


@dataclass(frozen=True)
class Judged:
    """A decision, and the champion that it was made against, if there was another one."""

    decision: Decision
    rival: str | None


def verdict(version: str, record: Lineage, params: Params, room: Room) -> Judged:
    """Judge a version, and let the verdict count.

    Judged before on the same evidence, it is judged against the champion of then again, which moves nothing. Where
    another became champion meanwhile, it is judged anew.
    """
    name, root = params.register.model, room.state.parents[1]
    scored = keep_marks(version, params, room.reads["scores"])
    evidence = {
        "adapter": record.adapter,
        "margins": sha256_of_json(record.params["register"]["margins"]),
        "scores": sha256_of_json(record.scores),
    }
    while True:
        before = promotion.decided(name, version, evidence, root)
        rival = before.rival if before else promotion.rival(name, version, root)
        decision = judged(record, scored, rival, params, room.reads["scores"])
        try:
            promotion.decide(name, version, decision, rival=rival, evidence=evidence, root=root)
        except promotion.Moved:
            continue
        return Judged(decision, rival)


def keep_marks(version: str, params: Params, scores: Path) -> Marks:
    """Keep what a version scored beside its run, for those that come after it."""
    scored = marks.marks(scores, params)
    text = json.dumps(scored.as_json(), sort_keys=True)
    run_record.seal(params.register.model, version, _MARKS, text.encode())
    return scored


def judged(record: Lineage, scored: Marks, rival: str | None, params: Params, scores: Path) -> Decision:
    """Judge by the folder `scores`, and by the marks against `rival`; nothing counts yet."""
    found = differences(scores)
    if rival not in (None, record.parent):  # the parent was drawn beside it
        found["champion"] = marks.differences(scored, _marks(params.register.model, str(rival)), params.evaluate)
    return judge(found, params.register.margins)


def _marks(name: str, version: str) -> Marks:
    """Read what a version scored; one from before marks were kept has none, and nobody passes against it."""
    said = run_record.read(name, version, _MARKS)
    return marks.read(json.loads(said)) if said else Marks(0, {})
