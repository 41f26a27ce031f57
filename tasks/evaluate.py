"""Compare base, parent and the new adapter: the same prompts and the same noise, in the deployed steps.

    python -m tasks run evaluate

Panel C holds the concept in other words and in new scenes, panel R what must not change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PIL.Image import Image

from dopsd.adapter import load_adapter_, wearing
from dopsd.examples import read_example
from dopsd.families.catalogue import family
from dopsd.family import Context, Denoiser
from dopsd.metrics.faithfulness import PLACEHOLDER, ClipScore
from dopsd.metrics.likeness import DinoDistance
from dopsd.placement import fastest
from tasks.dataset import embedded
from tasks.drawings import Drawing, Easel, drawings
from tasks.folders import write_bytes, write_json, write_manifest, write_text
from tasks.grid import grid, png
from tasks.panels import Naming, Prompt, concept_panel, prompts, retention_panel
from tasks.params import Params, resolved
from tasks.pipeline import Room
from tasks.progress import track
from tasks.scores import Judges, compared, measured, table

_COLUMNS = 6


def run(params: Params, room: Room) -> None:
    """Write `data/scores`: `scores.json`, every single value in `rows.csv`, `grid.png` and `manifest.json`."""
    pairs = embedded(room)
    chosen = pairs[:: -(-len(pairs) // params.evaluate.num_rewrites)]
    targets = {pair.id: pair.picture() for pair in chosen}
    panel = _panel({pair.id: pair.caption for pair in chosen}, params, room)
    easel, denoiser = _easel(params, room), _denoiser(params, room)
    models = ["base", *(name for name in ("parent", "adapter") if name in room.reads)]
    contexts = easel.encoder.student_contexts([prompt.text for prompt in panel])
    made = {
        model: _drawn_by(model, denoiser, contexts, panel, easel) for model in track(models, len(models), "evaluate")
    }
    judges = _judges(params, room, targets)
    scores = {model: measured(drawn, judges) for model, drawn in made.items()}
    folder = room.writes["scores"]
    write_json(folder / "scores.json", compared(scores, params.evaluate) | {"num_steps": params.train.num_steps})
    write_text(folder / "rows.csv", table(scores))
    taught = _taught("parent" if "parent" in made else "base", denoiser, panel, targets, easel)
    write_bytes(folder / "grid.png", png(_grid(made, taught, targets)))
    write_manifest(folder, "evaluate", resolved(params)["evaluate"], {"prompts": len(panel), "models": len(models)})


def _panel(captions: Mapping[str, str], params: Params, room: Room) -> list[Prompt]:
    naming = Naming(PLACEHOLDER, params.evaluate.class_noun)
    concept = concept_panel(captions, prompts(room.reads["novel"]), naming)
    return concept + retention_panel(prompts(room.reads["retention"]), naming)


def _easel(params: Params, room: Room) -> Easel:
    encoder = family(params.models.family).load_encoder(room.reads["base"], room.reads["vlm"], fastest())
    entry = min((room.reads["embeddings"] / "entries").glob("*.safetensors"))
    shape = tuple(read_example(entry).latents.shape)
    return Easel(encoder, shape, params.train.num_steps, params.evaluate.seeds)


def _denoiser(params: Params, room: Room) -> Denoiser:
    """Load the base once, with every adapter on it; who draws is a matter of which one it wears."""
    line = family(params.models.family)
    denoiser = line.load_denoiser(room.reads["base"], fastest())
    for name in ("parent", "adapter"):
        if name in room.reads:
            load_adapter_(denoiser.network, room.reads[name], line.pipeline, name=name)
    return denoiser


def _drawn_by(
    model: str, denoiser: Denoiser, contexts: Sequence[Context], panel: Sequence[Prompt], easel: Easel
) -> list[Drawing]:
    with wearing(denoiser.network, None if model == "base" else model):
        return drawings(denoiser, contexts, panel, easel)


def _judges(params: Params, room: Room, targets: Mapping[str, Image]) -> Judges:
    likeness, faithfulness = DinoDistance(room.reads["dino"], fastest()), ClipScore(room.reads["clip"], fastest())
    return Judges(likeness, faithfulness, params.evaluate.class_noun, targets)


def _taught(
    model: str, denoiser: Denoiser, panel: Sequence[Prompt], targets: Mapping[str, Image], easel: Easel
) -> list[Drawing]:
    """Let the teacher draw the rewrites with their pictures before its eyes."""
    rewrites = [prompt for prompt in panel if prompt.target is not None][:_COLUMNS]
    shown = [targets[str(prompt.target)] for prompt in rewrites]
    contexts = easel.encoder.teacher_contexts([prompt.text for prompt in rewrites], shown)
    return _drawn_by(model, denoiser, contexts, rewrites, replace(easel, seeds=easel.seeds[:1]))


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
