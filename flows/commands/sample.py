"""Draw with a version, the champion or the bare base, as it is deployed.

dopsd sample --model champion --prompt "a [V] star on a blue background" --out x.png
"""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from flows.mistakes import mistakes_told, told
from flows.options import ROOT
from tasks.params import load


def sample(
    prompt: Annotated[str, typer.Option(help='What to draw; "[V]" is the concept.')],
    out: Annotated[Path, typer.Option(help="Where the picture goes (PNG).")],
    model: Annotated[str, typer.Option(metavar="champion|vN|base")] = "champion",
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Draw a picture in the steps that the adapter is deployed with."""
    with mistakes_told():
        params = load(ROOT)
        adapter = None
        if model != "base":
            adapter = importlib.import_module("tasks.versions.registry").fetch(params.register.model, model, ROOT)
        drawn = importlib.import_module("tasks.sample").picture(params, prompt, seed, adapter)
        out.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(out)
    told.print(f"{out}: {adapter.name if adapter else 'base'}, {params.train.num_steps} steps, seed {seed}")
