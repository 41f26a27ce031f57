"""Distil what the teacher sees into an adapter that needs no picture; the loop itself is dopsd.training.

    python -m tasks run train

Killed and run again it goes on from its last checkpoint, in the same MLflow run.
"""

from dopsd.adapter import save_adapter
from dopsd.examples import Examples
from dopsd.families.catalogue import family
from dopsd.placement import fastest
from dopsd.pretrained import named
from dopsd.training import Run, identity, train
from tasks.curves import Curves, point
from tasks.folders import write_json, write_manifest, write_text
from tasks.params import Params, resolved
from tasks.pipeline import Room
from tasks.progress import track
from tasks.tracking import training_run


def run(params: Params, room: Room) -> None:
    """Write `data/adapter` (weights as diffusers reads them, curves.csv) and `data/training_run.json`."""
    settings, line = params.train, family(params.models.family)
    examples = Examples.read(room.reads["embeddings"] / "entries")
    denoiser = line.load_denoiser(room.reads["base"], fastest())
    place = Run(line, named(room.reads["base"]), room.state, room.reads.get("parent"))
    curves = Curves(room.state / f"curves-{identity(settings, place, examples.digest)[:16]}.jsonl")
    done = min(len(curves), settings.iterations) // settings.checkpoint_every * settings.checkpoint_every
    with training_run(params, room.state) as tracked:
        records = train(denoiser, examples, settings, place)
        for record in track(records, settings.iterations, "train", start=done):
            curves.add(record.step, point(record))
            tracked.log(record.step, point(record))
    folder = room.writes["adapter"]
    save_adapter(denoiser.network, folder, line.pipeline)
    write_text(folder / "curves.csv", curves.csv(settings.iterations))
    write_manifest(folder, "train", resolved(params)["train"], {"examples": len(examples)})
    write_json(room.writes["training_run"], {"mlflow_run_id": tracked.id})
