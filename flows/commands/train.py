"""Train by another method, for longer, or from another version: in a project, or on a folder of entries without one.

dopsd train --method sft --iterations 20 --init base
dopsd train --entries data/embeddings/entries --base models/tiny-z-image --out tuned --set num_steps=4

In a project what is asked for is written into params.yaml first, so that the next `dopsd run` evaluates and registers
this training, and does not undo it.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from dopsd import options
from dopsd.recipe import Method, Training
from flows.mistakes import mistakes_told, told
from tasks.override import override
from tasks.params import PARAMS_FILE, load, parse, resolved
from tasks.pipeline import PLACES
from tasks.runner import only_writer

_INSIDE = typer.Option(help="Train though the probe advises against it.")


def train(
    context: typer.Context,
    method: Annotated[str | None, typer.Option(help=f"One of {', '.join(get_args(Method))}.")] = None,
    iterations: Annotated[str | None, typer.Option(metavar="N")] = None,
    init: Annotated[str | None, typer.Option(metavar="base|champion|vN", help="What to go on from.")] = None,
    learning_rate: Annotated[str | None, typer.Option(metavar="RATE")] = None,
    weights: Annotated[str | None, typer.Option(metavar="lora|dora|full")] = None,
    seed: Annotated[str | None, typer.Option(metavar="N")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of train.")] = None,
    accept_weak_teacher: Annotated[bool, _INSIDE] = False,
    entries: Annotated[Path | None, typer.Option(help="Train on this folder, outside of any project.")] = None,
    base: Annotated[str | None, typer.Option(help="With --entries: a folder in the layout of the hub.")] = None,
    family: Annotated[str, typer.Option(help="With --entries: the model line of the base.")] = "z-image",
    out: Annotated[Path | None, typer.Option(help="With --entries: where the adapter and its curves go.")] = None,
    explain_memory: Annotated[bool, typer.Option(help="Say what memory it would take, and train nothing.")] = False,
) -> None:
    """Bring everything up to the training up to date, with what is said here; `--init` is the parent."""
    with mistakes_told():
        asked = {"method": method, "iterations": iterations, "learning_rate": learning_rate, "weights": weights}
        said = _said(asked | {"seed": seed}, settings or [])
        if explain_memory:
            _explain_memory(said, entries=entries, base=base, family=family)
            return
        if entries is not None:
            _outside(said, entries=entries, base=base, family=family, out=out, init=init)
            return
        if base is not None or out is not None:
            raise ValueError("--base and --out are for training outside of a project: name --entries, too")
        _write(said)
    siblings: Any = context.parent.command if context.parent else None
    run = siblings.get_command(context, "run").callback
    run(until="train", parent=init, accept_weak_teacher=accept_weak_teacher)


def _said(asked: Mapping[str, str | None], settings: Sequence[str]) -> dict[str, object]:
    """Gather the options that were given and all of --set; raises ValueError naming what is no key or no value."""
    return {key: options.value(key, text) for key, text in asked.items() if text is not None} | options.said(settings)


def _write(said: dict[str, object]) -> None:
    """Write what was said into params.yaml once all of it is known to be right."""
    root = Path()
    with only_writer(root):
        sections = resolved(load(root))
        parse(sections | {"train": sections["train"] | said})
        for key, value in said.items():
            if override(root, f"train.{key}", list(value) if isinstance(value, tuple) else value):
                told.print(f"{PARAMS_FILE}: train.{key} is now {value}", markup=False)


def _explain_memory(said: dict[str, Any], *, entries: Path | None, base: str | None, family: str) -> None:
    """Print what a training with what is said would take, by the configuration of its base alone."""
    table = importlib.import_module("dopsd.footprint.plan").table
    parts = importlib.import_module("dopsd.bench.memory").of_base
    if entries is None:
        sections = resolved(load(Path()))
        params = parse(sections | {"train": sections["train"] | said})
        models, place = params.models, Path(PLACES["embeddings"]) / "entries"
        known, side_px = place if place.is_dir() else None, params.embed.image_side_px
        found = parts(Path(models.base), models.family, params.train, entries=known, side_px=side_px)
    elif base is None:
        raise ValueError("--entries is for training outside of a project: name --base, too")
    else:
        found = parts(Path(base), family, Training(**said), entries=entries, side_px=1024)
    print(table(found))


def _outside(
    said: Mapping[str, Any], *, entries: Path, base: str | None, family: str, out: Path | None, init: str | None
) -> None:
    """Train on a folder of entries with what dopsd/ needs, and nothing else."""
    if base is None or out is None:
        raise ValueError("--entries is for training outside of a project: name --base and --out, too")
    tuning = importlib.import_module("dopsd.tuning")
    start = None if init in (None, "base") else Path(str(init))
    told.print(str(tuning.tune(tuning.Job(entries, base, family, out, start), Training(**said))), markup=False)
