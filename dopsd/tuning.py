"""Tune a model on a folder of embedded entries, with torch and Hugging Face alone: no project, no DVC, no MLflow.

    python -m dopsd.tuning --entries data/embeddings/entries --base models/tiny-z-image --out tuned --iterations 5

Every key of dopsd.recipe.Training is an option; --processes 2 shares every batch between two GPUs, as torchrun and
`accelerate launch` do. `dopsd train --entries` does the same. What was killed goes on from its last checkpoint when it
is run again.
"""

import argparse
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dopsd import options
from dopsd.curves import Curves, point
from dopsd.dataset.examples import Examples
from dopsd.families.catalogue import family
from dopsd.footprint.plan import tell
from dopsd.objective import objective
from dopsd.placement import cradle
from dopsd.pretrained import named
from dopsd.processes import ranks
from dopsd.processes.companions import accompanied
from dopsd.recipe import Training
from dopsd.run import Run
from dopsd.training import Record, train
from dopsd.weights.adapter import save_adapter
from dopsd.weights.trained import FILE
from dopsd.weights.whole import save_whole


@dataclass(frozen=True)
class Job:
    """What is tuned (a family, and a base in the layout of the hub), on which entries, from which adapter; where to.

    `entries` is a folder of files as the embed stage writes them; `init` is the folder of an adapter, or None.
    """

    entries: Path
    base: str
    family: str
    out: Path
    init: Path | None = None


def tune(job: Job, training: Training) -> Path:
    """Train, and leave the adapter (or the network) and curves.csv in `job.out`; gives the path of the weights.

    `job.out`/state holds what a killed training goes on from. Raises ValueError and FileNotFoundError for what a user
    can mend, FloatingPointError where the loss is not finite.
    """
    _refuse(job, training)
    together = replace(training, processes=max(training.processes, ranks.world_size()))  # a launcher says it, too
    with accompanied(together.processes, _tuned, job, together):
        return _tuned(job, together)


def _tuned(job: Job, training: Training) -> Path:
    """Train as one of the processes; the first tells and writes."""
    line, examples = family(job.family), Examples.read(job.entries)
    denoiser = line.load_denoiser(job.base, cradle(training))
    run = Run(line, named(job.base), job.out / "state", job.init)
    records = train(denoiser, examples, training, run)
    if ranks.rank():
        deque(records, maxlen=0)
        return job.out
    tell(denoiser.network, training)
    curves = Curves(run.state / "curves.jsonl")
    for record in records:
        curves.add(record.step, point(record))
        _tell(record, training.iterations)
    (job.out / "curves.csv").write_text(curves.csv(training.iterations))
    if training.weights == "full":
        return save_whole(denoiser.network, job.out)
    return save_adapter(denoiser.network, job.out, line.pipeline)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for: 0 when done, 1 for what a user can mend, told."""
    parser = argparse.ArgumentParser(prog="python -m dopsd.tuning", description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=Path, required=True, help="what the embed stage wrote, a file an image")
    parser.add_argument("--base", required=True, help="a folder in the layout of the hub, or a hub id")
    parser.add_argument("--family", default="z-image", help="the model line of the base")
    parser.add_argument("--out", type=Path, required=True, help="where the adapter, curves.csv and checkpoints go")
    parser.add_argument("--init", type=Path, help="the folder of an adapter to go on from")
    options.add_to(parser)
    asked = parser.parse_args(arguments)
    try:
        saved = tune(Job(asked.entries, asked.base, asked.family, asked.out, asked.init), options.chosen(asked))
    except (ValueError, FileNotFoundError, FloatingPointError) as mistake:
        print(mistake, file=sys.stderr)
        return 1
    if not ranks.rank():
        print(saved)
    return 0


def _refuse(job: Job, training: Training) -> None:
    """Refuse what needs a project around it, before a model is loaded."""
    needed = objective(training.method)(training).needs.model
    if needed != "deployed":
        raise ValueError(f"{training.method} trains on the {needed} model: run it in a project, which names one")
    if job.init is not None and training.weights == "full":
        raise ValueError("all weights are trained from the base alone: leave --init out, or train a lora")
    if job.init is not None and not (job.init / FILE).is_file():
        raise FileNotFoundError(f"{job.init} has no {FILE}: outside of a project --init is the folder of an adapter")


def _tell(record: Record, iterations: int) -> None:
    """Say about ten times how far it is."""
    done = record.step + 1
    if done % max(1, iterations // 10) == 0 or done == iterations:
        print(f"  train: {done}/{iterations}, loss {record.loss:.4g}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
