"""The referee's ablation: how far D-OPSD's teacher and student disagree before, while and after the student learns.

    judge(Case([cell_at_10, cell_at_40], another=Path("report/concepts/moon")))  # writes referee.csv into the last cell

Both read the student's own roll-outs on scenes and noise that training never saw. The teacher is shown a picture of
the concept ("right"), one of another concept ("wrong"), or none ("none"). What the student learns of the concept brings
it nearer to the teacher with the right picture; what it loses of itself takes it away from the teacher without one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL.Image import Image

from dopsd.checkpoints.checkpoint import Checkpoint
from dopsd.dataset.examples import Examples
from dopsd.families.catalogue import family
from dopsd.family import Context, Denoiser, Family, Network
from dopsd.metrics.divergence import velocity_divergence
from dopsd.placement import fastest
from dopsd.pretrained import named
from dopsd.recipe import Training
from dopsd.run import Run, identity
from dopsd.sampling import walks
from dopsd.weights.adapter_roles import Shape, attach_
from dopsd.weights.roles import Roles
from dopsd.weights.whole import attach_whole_
from tasks.comparison.cells import Cell, series
from tasks.comparison.workspaces import finished
from tasks.folders import read_json, sha256_of_folder, sha256_of_json, write_json, write_text
from tasks.images.dataset import embedded, teacher_context
from tasks.params import Params, load
from tasks.pipeline import PLACES, Room
from tasks.runner import RUNS
from tasks.scoring.panels import prompts

VALUES, _RECORD = "referee.csv", "referee.json"


@dataclass(frozen=True)
class Case:
    """Finished cells that are one training in the order of time, and the workspace of another concept."""

    folders: Sequence[Path]
    another: Path


@dataclass(frozen=True)
class Scenes:
    """Held-out scenes: the words, the noise, and what student and teacher read of each, by the picture shown."""

    texts: Sequence[str]
    seeds: Sequence[int]
    student: Sequence[Context]
    teacher: Mapping[str, Sequence[Context]]


def judge(case: Case) -> None:
    """Measure all moments of a training and the one before it, unless that is done."""
    torch.set_num_threads(1)
    last, digest = case.folders[-1], _identity(case)
    if (last / _RECORD).is_file() and read_json(last / _RECORD) == digest:
        return
    write_text(last / VALUES, pd.DataFrame(_rows(case)).to_csv(index=False))
    write_json(last / _RECORD, digest)


def values(cells: Sequence[Cell], out: Path) -> pd.DataFrame:
    """Gather what was measured: iterations, image, prompt, seed, value, concept, learning_rate, train_seed."""
    frames = []
    for training in series(cells):
        last, said = training[-1], training[-1].training
        rows = pd.read_csv(last.folder(out) / VALUES)
        frames.append(rows.assign(concept=last.concept, learning_rate=said.learning_rate, train_seed=said.seed))
    return pd.concat(frames, ignore_index=True)


def disagreements(
    denoiser: Denoiser, roles: Roles, scenes: Scenes, *, shape: Sequence[int], num_steps: int
) -> Iterator[dict[str, Any]]:
    """Give a row an image, a scene: image, prompt, seed, value.

    The value is the mean squared difference of velocities on the student's roll-out over the student's mean square.
    """
    walk = walks(denoiser, scenes.student, scenes.seeds, latent_shape=shape, num_steps=num_steps)
    for image, contexts in scenes.teacher.items():
        with roles.as_teacher():
            apart = velocity_divergence(denoiser, contexts, walk)
        for text, seed, value in zip(scenes.texts, scenes.seeds, apart, strict=True):
            yield {"image": image, "prompt": text, "seed": seed, "value": value}


def _rows(case: Case) -> Iterator[dict[str, Any]]:
    """Go through the moments with one network, which takes its weights from one checkpoint after the other."""
    params, room = load(case.folders[-1]), _room(case.folders[-1])
    line, training = family(params.models.family), params.train
    examples = Examples.read(room.reads["embeddings"] / "entries")
    denoiser = line.load_denoiser(Path(params.models.base), fastest())
    roles = _roles(denoiser.network, training, line)
    optimizer = torch.optim.AdamW(roles.student.values())
    scenes, shape = _scenes(params, room, case.another), examples.rows[0].latents.shape
    for folder in (None, *case.folders):
        moment = 0
        if folder is not None:
            run = Run(line, named(Path(params.models.base)), folder / RUNS / "train")
            moment = Checkpoint(run.state, identity(training, run, examples.digest)).restore_(roles, optimizer).position
            assert moment == load(folder).train.iterations, f"{folder} kept another moment"
        for row in disagreements(denoiser, roles, scenes, shape=shape, num_steps=training.num_steps):
            yield {"iterations": moment} | row


def _roles(network: Network, training: Training, line: Family) -> Roles:
    if training.weights == "full":
        return attach_whole_(network, teacher=training.teacher, ema_device=training.ema_device, has_base=False)
    targets = training.targets or line.lora_targets
    shape = Shape(targets, training.rank, training.alpha, is_dora=training.weights == "dora")
    return attach_(network, shape, teacher=training.teacher, seed=training.seed)


def _scenes(params: Params, room: Room, another: Path) -> Scenes:
    """Pair every novel prompt and every seed of evaluate with a picture of the concept, and one of another."""
    load_encoder = family(params.models.family).load_encoder
    encoder = load_encoder(Path(params.models.base), Path(params.models.vlm), fastest(), teacher_context(room))
    texts, seeds = prompts(Path(params.evaluate.novel)), params.evaluate.seeds
    shown = {"right": _pictures(room, len(texts)), "wrong": _pictures(_room(another), len(texts))}
    teacher = {image: encoder.teacher_contexts(texts, pictures) for image, pictures in shown.items()}
    student = encoder.student_contexts(texts)
    read = {image: _each(contexts, len(seeds)) for image, contexts in (teacher | {"none": student}).items()}
    return Scenes(_each(texts, len(seeds)), [*seeds] * len(texts), read["none"], read)


def _each(items: Sequence[Any], times: int) -> list[Any]:
    return [item for item in items for _ in range(times)]


def _pictures(room: Room, count: int) -> list[Image]:
    return list(islice(cycle([pair.picture() for pair in embedded(room)]), count))


def _room(folder: Path) -> Room:
    reads = {place: folder / PLACES[place] for place in ("images", "captions", "embeddings")}
    return Room(reads, {}, folder / RUNS)


def _identity(case: Case) -> str:
    records = [finished(folder) for folder in case.folders]
    assert all(records), "a cell is not finished"
    return sha256_of_json(
        [[record.identity for record in records if record], sha256_of_folder(case.another / PLACES["images"])]
    )
