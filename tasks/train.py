"""Distil what the teacher sees into an adapter that needs no picture; the loop itself is dopsd.training.

    python -m tasks run train

Killed and run again it goes on from its last checkpoint, in the same MLflow run.
"""

from pathlib import Path

from dopsd.adapter import save_adapter
from dopsd.checkpoint import Checkpoint
from dopsd.curves import Curves, point
from dopsd.examples import Examples
from dopsd.families.catalogue import family
from dopsd.family import Network
from dopsd.placement import CPU, fastest
from dopsd.training import Run, identity, train
from dopsd.whole import save_whole, transplant_
from tasks.beneath import Beneath, beneath
from tasks.folders import write_json, write_manifest, write_text
from tasks.params import Params, resolved
from tasks.pipeline import Room
from tasks.progress import track
from tasks.tracking import training_run


def run(params: Params, room: Room) -> None:
    """Write `data/adapter` (weights as diffusers reads them, curves.csv) and `data/training_run.json`."""
    settings, line = params.train, family(params.models.family)
    examples = Examples.read(room.reads["embeddings"] / "entries")
    model = beneath(params, room.reads["base"])
    denoiser = model.load(line, fastest())
    place = Run(line, model.name, room.state, room.reads.get("parent"))
    digest = identity(settings, place, examples.digest)
    curves = Curves(room.state / f"curves-{digest[:16]}.jsonl")
    done = min(Checkpoint(room.state, digest).position, settings.iterations)
    with training_run(params, room.state) as tracked:
        records = train(denoiser, examples, settings, place)
        for record in track(records, settings.iterations, "train", start=done):
            curves.add(record.step, point(record))
            tracked.log(record.step, point(record))
    folder = room.writes["adapter"]
    _save(denoiser.network, folder, params, model, room.reads["base"])
    write_text(folder / "curves.csv", curves.csv(settings.iterations))
    write_manifest(folder, "train", resolved(params)["train"], {"examples": len(examples)})
    write_json(room.writes["training_run"], {"mlflow_run_id": tracked.id})


def _save(network: Network, folder: Path, params: Params, model: Beneath, base: Path) -> None:
    """Write what was learnt for the deployed base, whatever it was learnt on."""
    line = family(params.models.family)
    if params.train.weights != "full":
        save_adapter(network, folder, line.pipeline)
        return
    if not model.is_deployed:
        began, onto = model.load(line, CPU).network, line.load_denoiser(base, CPU).network
        transplant_(network, began=began, onto=onto)
    save_whole(network, folder)
