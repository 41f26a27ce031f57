"""One stage by itself, with DVC and without Prefect: for a look at what it does.

dopsd stage caption --force
"""

import importlib
from typing import Annotated

import typer

from flows.budget import Budget
from flows.mistakes import mistakes_told, told
from flows.options import ROOT
from tasks.params import load
from tasks.pipeline import STAGES, stage
from tasks.runner import only_writer

StageName = Annotated[str, typer.Argument(help=f"One of {', '.join(row.name for row in STAGES)}.")]


def one_stage(name: StageName, force: Annotated[bool, typer.Option(help="Run it whatever is cached.")] = False) -> None:
    """Bring one stage up to date by itself, with DVC and without Prefect."""
    with mistakes_told(), only_writer(ROOT):
        load(ROOT)
        has_run = importlib.import_module("flows.reproduction").reproduce(stage(name).name, Budget(), is_forced=force)
    told.print(f"{name}: {'ran' if has_run else 'cached'}")
