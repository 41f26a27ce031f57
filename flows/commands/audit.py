"""Prove that the chain of every version is whole, or name the edge where it is broken.

dopsd audit --strict
"""

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flows.mistakes import mistakes_told, told
from tasks.params import load


def audit(
    strict: Annotated[
        bool, typer.Option(help="Digest all data anew, byte by byte, and read what lies beside runs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Look at every edge from weights back to images, code, parents and verdict; exit with 1 where one is broken."""
    with mistakes_told():
        found = importlib.import_module("tasks.versions.audit").audit(
            Path(), load(Path()).register.model, is_strict=strict
        )
        taken = importlib.import_module("tasks.versions.taken_down").taken(load(Path()).register.model)
    for version, receipt in taken.items():
        told.print(f"{version}: taken down, see {receipt}; what was removed for that is no break", markup=False)
    if as_json:
        print(json.dumps([asdict(row) for row in found]))
    elif found:
        table = Table("version", "edge", "what is wrong", box=None, pad_edge=False, header_style="bold")
        for row in found:
            table.add_row(row.version, row.edge, row.wrong)
        Console(highlight=False).print(table)
    else:
        told.print("the chain of every version is whole")
    if found:
        raise typer.Exit(1)
