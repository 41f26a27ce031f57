"""Take a registered adapter to another program.

dopsd export champion --format comfyui --out star.safetensors
"""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from flows.mistakes import mistakes_told, told
from flows.options import ROOT
from tasks.params import load


def export(
    version: Annotated[str, typer.Argument(metavar="champion|vN", help="Which adapter.")],
    out: Annotated[Path, typer.Option(help="Where it goes: a file; for merged diffusers weights a folder.")],
    form: Annotated[str, typer.Option("--format", metavar="diffusers|comfyui|kohya")] = "diffusers",
    merged: Annotated[bool, typer.Option(help="Write all weights, the adapter added to them in fp32.")] = False,
) -> None:
    """Write an adapter in the key layout that another program reads."""
    with mistakes_told():
        params = load(ROOT)
        adapter = importlib.import_module("tasks.versions.registry").fetch(params.register.model, version, ROOT)
        said = importlib.import_module("tasks.export").export(params, adapter, form, out, is_merged=merged)
    told.print(said, markup=False, soft_wrap=True)
