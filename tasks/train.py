"""Distil what the teacher sees into an adapter that needs no picture; the loop itself is dopsd.training.

    python -m tasks run train

Killed and run again it goes on from its last checkpoint, in the same MLflow run.
"""

import sys
from collections import deque
from functools import partial
from pathlib import Path

from dopsd.checkpoints.checkpoint import Checkpoint
from dopsd.checkpoints.standing import Standing
from dopsd.curves import Curves, point
from dopsd.dataset.examples import Examples
from dopsd.families.catalogue import family
from dopsd.family import Network
from dopsd.footprint.plan import tell
from dopsd.placement import CPU, cradle, fastest
from dopsd.processes.companions import accompanied
from dopsd.recipe import Training, decisive
from dopsd.run import Run, identity
from dopsd.training import train
from dopsd.weights.adapter import save_adapter
from dopsd.weights.whole import save_whole, transplant_
from tasks.beneath import Beneath, beneath
from tasks.folders import read_rows, write_json, write_manifest, write_text
from tasks.gallery import Gallery
from tasks.params import Params, resolved
from tasks.pipeline import Room
from tasks.progress import track
from tasks.tracking import TrainingRun, training_run


def run(params: Params, room: Room) -> None:
    """Write `data/adapter` (weights as diffusers reads them, curves.csv) and `data/training_run.json`."""
    with accompanied(params.train.processes, _beside, params, room):
        _trained(params, room)


def _beside(params: Params, room: Room) -> None:
    """Train as another process of the same training does, and leave it to the first to tell and to write."""
    line, model = family(params.models.family), beneath(params, room.reads["base"])
    place = Run(line, model.name, room.state, room.reads.get("parent"))
    examples = Examples.read(room.reads["embeddings"] / "entries")
    deque(train(model.load(line, cradle(params.train)), examples, params.train, place), maxlen=0)


def _trained(params: Params, room: Room) -> None:
    """Train, let people watch, and write what was learnt."""
    settings, line = params.train, family(params.models.family)
    examples = Examples.read(room.reads["embeddings"] / "entries")
    model = beneath(params, room.reads["base"])
    denoiser = model.load(line, cradle(settings))
    tell(denoiser.network, settings)
    place = Run(line, model.name, room.state, room.reads.get("parent"))
    checkpoint = Checkpoint(room.state, identity(settings, place, examples.digest))
    curves = Curves(checkpoint.folder / "curves.jsonl")
    gallery = Gallery(checkpoint.folder / "looks", _captions(room), partial(line.load_decoder, model.model, fastest()))
    with training_run(params, room.state) as tracked:
        records = train(denoiser, examples, settings, place)
        done = checkpoint.standing(settings.iterations).position
        for record in track(records, settings.iterations, "train", start=done):
            curves.add(record.step, point(record))
            tracked.log(record.step, point(record))
            if record.look:
                gallery.add(record.step, record.look)
            if fastest() == CPU:
                gallery.show(tracked.show)
        gallery.show(tracked.show)
        standing = checkpoint.standing(settings.iterations)
        _tell_stop(standing, settings, tracked)
    folder = room.writes["adapter"]
    _save(denoiser.network, folder, params, model, room.reads["base"])
    write_text(folder / "curves.csv", curves.csv(standing.position))
    write_manifest(folder, "train", decisive(resolved(params)["train"]), _counts(examples, standing, settings))
    write_json(room.writes["training_run"], {"mlflow_run_id": tracked.id})


def _captions(room: Room) -> dict[str, str]:
    """Read what was embedded, by id."""
    return {row["id"]: row["caption"] for row in read_rows(room.reads["embeddings"] / "index.jsonl")}


def _tell_stop(standing: Standing, settings: Training, tracked: TrainingRun) -> None:
    """Say on the terminal and on the run's page that the guard ended the training, and what is left."""
    if standing.is_stopped(settings):
        text = f"stopped after {standing.position} iterations, the weights are those after {standing.good}"
        print(f"train: the few-step signals left the noise floor; {text}", file=sys.stderr)
        tracked.tag("stopped_early", text)


def _counts(examples: Examples, standing: Standing, settings: Training) -> dict[str, int]:
    """Count what was learnt from; of a training that was stopped, the iterations done, and those that count."""
    if not standing.is_stopped(settings):
        return {"examples": len(examples)}
    return {"examples": len(examples), "iterations": standing.position, "iterations_kept": standing.good}


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
