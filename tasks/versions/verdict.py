"""The gate's verdict on a version: judged against base, parent and the champion of the moment, and entered once.

>>> verdict("v7", record, room).decision.verdict
"""

import json
from dataclasses import dataclass

from dopsd.gate import Decision, judge
from tasks.folders import sha256_of_json
from tasks.intervals import differences
from tasks.params import Params
from tasks.pipeline import Room
from tasks.versions import marks, promotion, registry
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
    scored = marks.marks(room.reads["scores"], params)
    registry.keep_record(name, version, {_MARKS: json.dumps(scored.as_json(), sort_keys=True)})
    evidence = {
        "adapter": record.adapter,
        "margins": sha256_of_json(record.params["register"]["margins"]),
        "scores": sha256_of_json(record.scores),
    }
    while True:
        before = promotion.decided(name, version, evidence, root)
        rival = before.rival if before else promotion.rival(name, version, root)
        found = differences(room.reads["scores"])
        if rival not in (None, record.parent):  # the parent was drawn beside it
            found["champion"] = marks.differences(scored, _marks(name, str(rival)), params.evaluate)
        decision = judge(found, params.register.margins)
        try:
            promotion.decide(name, version, decision, rival=rival, evidence=evidence, root=root)
        except promotion.Moved:
            continue
        return Judged(decision, rival)


def _marks(name: str, version: str) -> Marks:
    """Read what a version scored; one from before marks were kept has none, and nobody passes against it."""
    said = registry.record(name, version, _MARKS)
    return marks.read(json.loads(said)) if said else Marks(0, {})
