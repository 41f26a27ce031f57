"""Bring the data of every version to DVC's remote, so that another clone, or a restored one, has all of it.

dopsd push
"""

import importlib
from pathlib import Path

import typer

from flows.mistakes import mistakes_told, told
from tasks.params import load


def push() -> None:
    """Send what DVC's remote lacks of any version; exit with 1 where something is nowhere any more."""
    with mistakes_told():
        pushed = importlib.import_module("tasks.versions.pushed").push(Path(), load(Path()).register.model)
    told.print(f"{pushed.num_sent} objects went to DVC's remote" if pushed.num_sent else "DVC's remote has it all")
    for digest in pushed.lost:
        told.print(f"{digest} is neither in DVC's cache nor in its remote: `dopsd audit` names whose it is")
    if pushed.lost:
        raise typer.Exit(1)
