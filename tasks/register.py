"""Keep the adapter as a version with its lineage, and promote it if it earned that.

    python -m tasks run register

A refusal is a written result: the version is there, with its verdict and the reasons, and the champion stays.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from tasks.ancestry.records import CAPTIONS, IMAGES, LINEAGE, spelled, texts
from tasks.folders import read_json, write_json
from tasks.intervals import as_json
from tasks.params import Params
from tasks.pipeline import Room
from tasks.versions import base, registry, run_record, stand_in, version_commit
from tasks.versions.lineage import Lineage, lineage
from tasks.versions.presentation import Entered, present, tell
from tasks.versions.shadow import is_shadow
from tasks.versions.verdict import verdict


def run(params: Params, room: Room) -> None:
    """Write `data/version/version.json`; run again, it finds what it entered and writes the same."""
    name, root = params.register.model, room.state.parents[1]
    record = lineage(params, room, root)
    run_id = _run(params, room)
    base.enter(root, name, record.base, folder=params.models.base, family=params.models.family)
    version = registry.enter(name, record, room.reads["adapter"], run_id)
    tell(run_id, record, room.reads, registry.model_id(name, version))
    entered = registry.entered(name, version)
    said = {"model": name, "version": version, "mlflow_run_id": run_id, "entered": entered}
    told = _record(said, record, room.reads)
    commit = version_commit.kept(root, name, version, told)
    kept = _as_committed(root, commit, told) if commit else told
    run_record.keep(name, version, kept)
    judged = verdict(version, record, params, room)
    shown = replace(record, **json.loads(kept[LINEAGE])["lineage"])
    present(Entered(name, version, shown, run_id, entered, commit or "none"), judged, root, room.reads)
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


def _record(said: Mapping[str, object], record: Lineage, reads: Mapping[str, Path]) -> dict[str, str]:
    """Write out what is kept of a version wherever it is kept: its lineage, its images and their captions."""
    told = {**said, "lineage": asdict(record)}
    return {
        LINEAGE: spelled(told),
        IMAGES: (reads["images"] / IMAGES).read_text(encoding="utf-8"),
        CAPTIONS: (reads["captions"] / CAPTIONS).read_text(encoding="utf-8"),
    }


def _as_committed(root: Path, commit: str, told: Mapping[str, str]) -> Mapping[str, str]:
    """Tell what the commit tells, as a version is made once; only its scores may be newer.

    Where the tag is that of other weights, of a registry that is gone, nothing is taken from it.
    """
    first, now = texts(root, commit, *told), json.loads(told[LINEAGE])
    known = json.loads(first.get(LINEAGE, told[LINEAGE]))
    if known["lineage"]["adapter"] != now["lineage"]["adapter"]:
        return told
    known["lineage"]["scores"] = now["lineage"]["scores"]
    return {**told, **first, LINEAGE: spelled(known)}


def _run(params: Params, room: Room) -> str:
    """Find the run that trained the adapter; where it came from a cache and the store is another, begin one."""
    run_id = str(read_json(room.reads["training_run"])["mlflow_run_id"])
    known = stand_in.found(params.register.model, run_id)
    return known or stand_in.begun(params, run_id, room.reads["adapter"] / "curves.csv")
