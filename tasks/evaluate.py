"""Compare base, parent and the new adapter: the same prompts and the same noise, in the deployed steps.

    python -m tasks run evaluate

Panel C holds the concept in other words and in new scenes, panel R what must not change, panel P earlier concepts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL.Image import Image, new

from dopsd.families.catalogue import family
from dopsd.placement import fastest
from dopsd.pretrained import named
from tasks.cast import Cast, load_cast
from tasks.folders import write_bytes, write_json, write_manifest, write_text
from tasks.images.dataset import judged, square, teacher_context
from tasks.params import Params, resolved
from tasks.pipeline import Room
from tasks.progress import track
from tasks.scoring.base_walks import FOLDER, BaseWalks
from tasks.scoring.drawings import TOGETHER, Drawing, Easel, side_by_side
from tasks.scoring.earlier import earlier, keep
from tasks.scoring.grid import grid, png
from tasks.scoring.judges import Judges
from tasks.scoring.measures import measured
from tasks.scoring.panels import Naming, Prompt, benchmark_panel, concept_panel, prompts, retention_panel, rewrites
from tasks.scoring.scores import compared, table
from tasks.scoring.sheet import Sheet

_COLUMNS = 6


def run(params: Params, room: Room) -> None:
    """Write `data/scores`: `scores.json`, every value in `rows.csv`, `grid.png`, the concept's `panel`, a manifest."""
    pairs = judged(room)
    chosen = pairs[:: -(-len(pairs) // params.evaluate.num_rewrites)]
    targets = {pair.id: replace(pair, size=square(room)).picture() for pair in chosen}
    learnt, their_targets = earlier([Path(folder) for folder in params.evaluate.earlier])
    judges = Judges(params.evaluate, room.reads, targets, their_targets)
    panel = _panel({pair.id: pair.caption for pair in chosen}, params, room) + learnt + _benchmarks(params, judges)
    tuned = {name: room.reads[name] for name in ("parent", "adapter") if name in room.reads}
    easel, cast = _easel(params, room), load_cast(params, room.reads["base"], tuned)
    models = ["base", *tuned]
    made = _made(cast, models, panel, easel)
    sheets = {model: Sheet(drawn, made["base"], judges) for model, drawn in made.items()}
    scores = {model: measured(sheet, params.evaluate.metrics) for model, sheet in sheets.items()}
    folder = room.writes["scores"]
    write_json(folder / "scores.json", compared(scores, params.evaluate) | {"num_steps": params.train.num_steps})
    write_text(folder / "rows.csv", table(scores))
    keep(folder / "panel", panel, targets)
    taught = _taught("parent" if "parent" in made else "base", cast, panel, targets, easel)
    write_bytes(folder / "grid.png", png(_grid(made, taught, targets)))
    write_manifest(folder, "evaluate", resolved(params)["evaluate"], {"prompts": len(panel), "models": len(models)})


def _panel(captions: Mapping[str, str], params: Params, room: Room) -> list[Prompt]:
    naming = Naming(params.caption.placeholder, params.evaluate.class_noun)
    concept = concept_panel(captions, prompts(room.reads["novel"]), naming, rewrites(room.reads["novel"]))
    return concept + retention_panel(prompts(room.reads["retention"]), naming)


def _benchmarks(params: Params, judges: Judges) -> list[Prompt]:
    """Take the prompts of the benchmarks that are asked for, as they were published."""
    asked = params.evaluate.metrics
    geneval = benchmark_panel("geneval", list(judges.orders)) if "geneval" in asked else []
    return geneval + (benchmark_panel("dpg", list(judges.items)) if "dpg" in asked else [])


def _easel(params: Params, room: Room) -> Easel:
    load = family(params.models.family).load_encoder
    encoder = load(room.reads["base"], room.reads["vlm"], fastest(), teacher_context(room))
    shape = tuple(encoder.latents([new("RGB", square(room))]).shape[1:])
    follows_base = "velocity_divergence" in params.evaluate.metrics
    folder = room.state / FOLDER
    kept = BaseWalks(folder, named(room.reads["base"])) if folder.is_dir() else None
    return Easel(encoder, shape, params.train.num_steps, params.evaluate.seeds, follows_base, kept)


def _made(cast: Cast, models: Sequence[str], panel: Sequence[Prompt], easel: Easel) -> dict[str, list[Drawing]]:
    """Let every model draw the whole panel."""
    contexts = easel.encoder.student_contexts([prompt.text for prompt in panel])
    made: dict[str, list[Drawing]] = {model: [] for model in models}
    num_batches = -(-len(panel) * len(easel.seeds) // TOGETHER)
    for batch in track(side_by_side(cast, models, panel, contexts, easel), num_batches, "evaluate"):
        for model, drawn in batch.items():
            made[model] += drawn
    return made


def _taught(
    model: str, cast: Cast, panel: Sequence[Prompt], targets: Mapping[str, Image], easel: Easel
) -> list[Drawing]:
    """Let the teacher draw the rewrites with their pictures before its eyes."""
    rewrites = [prompt for prompt in panel if prompt.panel == "concept" and prompt.target is not None][:_COLUMNS]
    shown = [targets[str(prompt.target)] for prompt in rewrites]
    contexts = easel.encoder.teacher_contexts([prompt.text for prompt in rewrites], shown)
    once = replace(easel, seeds=easel.seeds[:1], follows_base=False, kept=None)
    return [one for batch in side_by_side(cast, [model], rewrites, contexts, once) for one in batch[model]]


def _grid(made: Mapping[str, Sequence[Drawing]], taught: Sequence[Drawing], targets: Mapping[str, Image]) -> Image:
    """Put the same prompts from the same noise in columns: target, base, teacher, parent, adapter."""
    prompts_shown = [drawing.prompt for drawing in taught]
    seed = taught[0].seed
    drawn = {
        model: {drawing.prompt: drawing.picture for drawing in some if drawing.seed == seed}
        for model, some in made.items()
    }
    rows = {"target": [targets[str(prompt.target)] for prompt in prompts_shown]}
    rows |= {"base": [drawn["base"][prompt] for prompt in prompts_shown], "teacher": [one.picture for one in taught]}
    rows |= {model: [found[prompt] for prompt in prompts_shown] for model, found in drawn.items() if model != "base"}
    return grid(rows, [prompt.text for prompt in prompts_shown])
