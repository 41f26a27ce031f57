"""Keep the adapter as a version with its lineage, and promote it if it earned that.

    python -m tasks run register

A refusal is a written result: the version is there, with its verdict and the reasons, and the champion stays.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from dopsd.gate import judge
from tasks import registry, tracking
from tasks.folders import read_json, sha256_of_json, write_json
from tasks.intervals import as_json, differences
from tasks.lineage import Lineage, lineage
from tasks.params import Params
from tasks.pipeline import Room

_TOLD = "scores_sha256"


def run(params: Params, room: Room) -> None:
    """Write `data/version/version.json`; run again, it finds what it entered and writes the same."""
    name, root = params.register.model, room.state.parents[1]
    decision = judge(differences(room.reads["scores"]), params.register.margins)
    record = lineage(params, room, root)
    run_id = _run(params, room)
    version = registry.enter(name, record, room.reads["adapter"], run_id)
    _tell(run_id, record, room.reads, registry.model_id(name, version))
    registry.decide(name, version, decision)
    write_json(
        room.writes["version"] / "version.json",
        {
            "model": name,
            "version": version,
            "verdict": decision.verdict,
            "reasons": [asdict(reason) | {"observed": as_json(reason.observed)} for reason in decision.reasons],
            "mlflow_run_id": run_id,
            "lineage": asdict(record),
        },
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
