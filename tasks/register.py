"""Keep the adapter as a version with its lineage, and promote it if it earned that.

    python -m tasks run register

A refusal is a written result: the version is there, with its verdict and the reasons, and the champion stays.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tasks import tracking
from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE, change, records
from tasks.folders import read_json, read_rows, sha256_of_json, write_json
from tasks.intervals import as_json
from tasks.params import Params
from tasks.pipeline import Room
from tasks.versions import registry, version_commit
from tasks.versions.lineage import Lineage, lineage
from tasks.versions.shadow import is_shadow
from tasks.versions.verdict import Judged, verdict
from tasks.versions.verdict_picture import picture
from tasks.versions.version_page import Facts, page

_TOLD = "scores_sha256"


def run(params: Params, room: Room) -> None:
    """Write `data/version/version.json`; run again, it finds what it entered and writes the same."""
    name, root = params.register.model, room.state.parents[1]
    record = lineage(params, room, root)
    run_id = _run(params, room)
    version = registry.enter(name, record, room.reads["adapter"], run_id)
    _tell(run_id, record, room.reads, registry.model_id(name, version))
    texts = _record(name, version, record, run_id, room.reads)
    registry.keep_record(name, version, texts)
    commit = version_commit.kept(root, name, version, texts) or "none"
    registry.tag(name, version, "commit", commit)
    judged = verdict(version, record, params, room)
    registry.keep_picture(name, version, "verdict.png", picture(judged.decision))
    registry.keep_picture(name, version, "grid.png", (room.reads["scores"] / "grid.png").read_bytes())
    registry.describe(name, version, page(_facts(name, version, record, judged, room)))
    found = {"version": version, "verdict": str(judged.decision.verdict), "base": record.base, "parent": record.parent}
    for key, value in (found | registry.entered(name, version) | {"commit": commit}).items():
        tracking.set_tag(run_id, key, value)
    write_json(
        room.writes["version"] / "version.json",
        {
            "model": name,
            "version": version,
            "verdict": judged.decision.verdict,
            "is_shadow": is_shadow(),
            "reasons": [asdict(reason) | {"observed": as_json(reason.observed)} for reason in judged.decision.reasons],
            "mlflow_run_id": run_id,
            "lineage": asdict(record),
        },
    )


def _record(name: str, version: str, record: Lineage, run_id: str, reads: Mapping[str, Path]) -> dict[str, str]:
    """Write out what is kept of a version wherever it is kept: its lineage, its images and their captions."""
    said = {"model": name, "version": version, "mlflow_run_id": run_id, "entered": registry.entered(name, version)}
    return {
        LINEAGE: json.dumps(said | {"lineage": asdict(record)}, ensure_ascii=False, sort_keys=True, indent=2) + "\n",
        IMAGES: (reads["images"] / IMAGES).read_text(encoding="utf-8"),
        CAPTIONS: (reads["captions"] / CAPTIONS).read_text(encoding="utf-8"),
    }


def _facts(name: str, version: str, record: Lineage, judged: Judged, room: Room) -> Facts:
    """Gather what the version's page tells."""
    root = room.state.parents[1]
    known = records(root, name)
    parent, own = known.get(record.parent), known.get(version)
    return Facts(
        record=record,
        entered=registry.entered(name, version),
        commit=own.commit if own else None,
        num_captions=Counter(row["source"] for row in read_rows(room.reads["captions"] / CAPTIONS)),
        change=change(root, own, parent) if own and parent else None,
        decision=judged.decision,
        rival=judged.rival,
    )


def _run(params: Params, room: Room) -> str:
    """Find the run that trained the adapter; where it came from a cache and the store is another, begin one."""
    run_id = str(read_json(room.reads["training_run"])["mlflow_run_id"])
    store = tracking.connect()
    if tracking.has_run(store, run_id):
        return run_id
    run_id = tracking.new_run(store, params)
    tracking.log_curves(run_id, room.reads["adapter"] / "curves.csv")
    store.set_terminated(run_id)
    return run_id


def _tell(run_id: str, record: Lineage, reads: Mapping[str, Path], model_id: str) -> None:
    """Put beside the curves what the run learnt from, what came out, and how it looks; once."""
    digest = sha256_of_json(record.scores)
    if tracking.tag(run_id, _TOLD) == digest:
        return
    tracking.log_dataset(run_id, "images", record.dataset, record.num_images, model_id)
    tracking.log_scores(run_id, record.scores["models"])
    tracking.log_pictures(run_id, {"scores": reads["scores"] / "grid.png", "probe": reads["probe"] / "grid.png"})
    tracking.set_tag(run_id, _TOLD, digest)
