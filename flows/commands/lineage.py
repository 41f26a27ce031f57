"""Where a version comes from and where an image went, asked of the records that git keeps; no server is needed.

dopsd lineage v7
dopsd lineage base
dopsd lineage --image photo.jpg
dopsd model diff v6 v7
"""

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.mistakes import mistakes_told
from tasks.params import load

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
model = typer.Typer(help="Compare versions, and make them again.", no_args_is_help=True)


def lineage(
    version: Annotated[str | None, typer.Argument(help="v7, champion, challenger; base means all bases.")] = None,
    image: Annotated[str | None, typer.Option(metavar="FILE|DIGEST", help="Follow an image instead.")] = None,
    bits: Annotated[int, typer.Option(min=0, max=64, help="How many of 64 bits of its looks may differ.")] = 6,
    as_json: Json = False,
) -> None:
    """Tell what a version was made of and what came of it; or what an image went into, and what serves of that."""
    with mistakes_told():
        name = load(Path()).register.model
        if (version is None) == (image is None):
            raise ValueError("name a version, or an image: `dopsd lineage v7`, `dopsd lineage --image photo.jpg`")
        if version in ("base", *importlib.import_module("tasks.ancestry.bases").bases(Path(), name)):
            found, view = importlib.import_module("tasks.ancestry.roots").roots(Path(), name, version), "roots"
        elif version:
            found, view = importlib.import_module("tasks.ancestry.tree").tree(Path(), name, version), "version"
        else:
            found, view = importlib.import_module("tasks.ancestry.spread").spread(Path(), name, image, bits), "image"
    _show(found, view, as_json=as_json)


@model.command()
def diff(
    old: str,
    new: str,
    grids: Annotated[Path | None, typer.Option(help="Put what both drew into this PNG, the old version above.")] = None,
    as_json: Json = False,
) -> None:
    """Tell what sets two versions apart: images, captions, params, code, parent, scores; show what both drew."""
    with mistakes_told():
        name = load(Path()).register.model
        found = importlib.import_module("tasks.ancestry.difference").difference(Path(), name, old, new)
        if grids:
            importlib.import_module("tasks.ancestry.grids").grids(Path(), name, (found.old, found.new)).save(grids)
    _show(found, "apart", as_json=as_json)


def _show(found: Any, view: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
    else:
        Console(highlight=False).print(getattr(importlib.import_module("flows.commands.lineage_view"), view)(found))
