"""Ask, before GPU hours are spent, whether the teacher, who sees the picture, is better than the student at all.

    python -m tasks run probe

Both draw the training prompts in the deployed steps; the report says who came nearer to the pictures.
"""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor

from dopsd.dataset.batching import rows_alike
from dopsd.dataset.examples import Example, Examples
from dopsd.families.catalogue import family
from dopsd.family import Encoder
from dopsd.metrics.likeness import DinoDistance
from dopsd.metrics.statistics import Interval
from dopsd.placement import fastest
from dopsd.probe import Distances, Pair, Probe, draw_pairs, judge
from dopsd.weights.adapter import load_adapter_
from tasks.folders import write_bytes, write_json
from tasks.images import dataset
from tasks.intervals import as_json
from tasks.params import Params
from tasks.pipeline import Room
from tasks.progress import track
from tasks.scoring.grid import grid, png

MOST_EXAMPLES = 32
"""So many pictures, spread over the dataset, are enough to tell; a thousand would cost hours."""
_COLUMNS = 6


def run(params: Params, room: Room) -> None:
    """Write `data/probe`: the finding in `probe.json`, and `grid.png` to see it; a weak teacher is no error here."""
    images = {pair.id: pair for pair in dataset.judged(room)}
    pairs = _drawn(params, room, images)
    encoder = family(params.models.family).load_encoder(room.reads["base"], room.reads["vlm"], fastest())
    teacher = _decoded(encoder, [pair.teacher for pair in pairs])
    student = _decoded(encoder, [pair.student for pair in pairs])
    targets = [images[pair.example_id].picture() for pair in pairs]
    likeness = DinoDistance(room.reads["dino"], fastest())
    by_teacher, by_student = (_by_example(pairs, likeness.distances(drawn, targets)) for drawn in (teacher, student))
    finding = judge(by_teacher, by_student, params.probe)
    write_json(room.writes["probe"] / "probe.json", _report(finding, likeness.name, params))
    captions = [images[pair.example_id].caption for pair in pairs]
    rows = {"target": targets, "student": student, "teacher": teacher}
    _show(rows, captions, len(params.probe.seeds), room.writes["probe"] / "grid.png")


def _drawn(params: Params, room: Room, asked: Container[str]) -> list[Pair]:
    """Let teacher and student draw; the network wears the parent's adapter where there is one."""
    line, seeds = family(params.models.family), params.probe.seeds
    denoiser = line.load_denoiser(room.reads["base"], fastest())
    if "parent" in room.reads:
        load_adapter_(denoiser.network, room.reads["parent"], line.pipeline, name="parent")
    rows = Examples.read(room.reads["embeddings"] / "entries").rows
    examples = _spread([row for row in rows if row.id in asked])
    pairs = draw_pairs(denoiser, examples, seeds=seeds, num_steps=params.train.num_steps)
    return list(track(pairs, len(examples) * len(seeds), "probe"))


def _spread(examples: Sequence[Example]) -> Sequence[Example]:
    """Take every n-th example, so that at most `MOST_EXAMPLES` are left; ids are digests, so this is a fair draw."""
    return examples[:: -(-len(examples) // MOST_EXAMPLES)]


def _decoded(encoder: Encoder, latents: Sequence[Tensor]) -> list[Image]:
    """Decode latents, those of one shape together."""
    seen: dict[int, Image] = {}
    for rows in rows_alike([row.shape for row in latents], most=len(latents)):
        seen |= dict(zip(rows, encoder.pictures(torch.stack([latents[row] for row in rows])), strict=True))
    return [seen[row] for row in range(len(latents))]


def _by_example(pairs: Sequence[Pair], values: Sequence[float]) -> Distances:
    found = defaultdict(list)
    for pair, value in zip(pairs, values, strict=True):
        found[pair.example_id].append(value)
    return found


def _report(finding: Probe, metric: str, params: Params) -> dict[str, object]:
    """Spell the finding out for the flow, for the gate, and in one sentence for a person."""
    settings = params.probe
    word = "better" if finding.is_teacher_better else "not better"
    sentence = (
        f"the teacher is {word} than the student: it draws {_said(finding.gain)} nearer to the targets, and more than "
        f"{settings.minimum_gain:g} is asked for ({metric}: teacher {_said(finding.teacher)}, student "
        f"{_said(finding.student)}; {finding.gain.count} pictures, {len(settings.seeds)} seeds, "
        f"{params.train.num_steps} steps)"
    )
    return {
        "is_teacher_better": finding.is_teacher_better,
        "accepted_weak": settings.accept_weak_teacher and not finding.is_teacher_better,
        "report": sentence,
        "metric": metric,
        "teacher": as_json(finding.teacher),
        "student": as_json(finding.student),
        "gain": as_json(finding.gain),
        "confidence": settings.confidence,
        "minimum_gain": settings.minimum_gain,
        "num_steps": params.train.num_steps,
    }


def _said(seen: Interval) -> str:
    return f"{seen.mean:.3f} [{seen.low:.3f}, {seen.high:.3f}]"


def _show(rows: Mapping[str, Sequence[Image]], captions: Sequence[str], num_seeds: int, path: Path) -> None:
    """Draw the grid of the first seed of the first examples."""
    columns = slice(0, num_seeds * _COLUMNS, num_seeds)
    write_bytes(path, png(grid({name: drawn[columns] for name, drawn in rows.items()}, captions[columns])))
