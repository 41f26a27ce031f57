"""Tell what a run would do, stage by stage and why, without doing it.

dopsd plan --json --detailed-exitcode
"""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from flows.commands import plan_table
from flows.mistakes import mistakes_told
from flows.options import ROOT, AsJson, Force, From, Only, Until
from tasks.params import load
from tasks.planning.plan import plan
from tasks.planning.selection import Selection
from tasks.runner import sources


def show_plan(
    first: From = None,
    until: Until = None,
    only: Only = None,
    force: Force = None,
    as_json: AsJson = False,
    detailed_exitcode: Annotated[bool, typer.Option(help="Exit with 2 where there is work.")] = False,
) -> None:
    """Tell what `run` would do, stage by stage and why, without doing it."""
    with mistakes_told():
        sources(load(ROOT), ROOT)
        found = plan(ROOT, Selection(first, until, only, tuple(force or ())), counts=True)
    if as_json:
        print(json.dumps(plan_table.as_json(found)))
    else:
        # a pipe has no width, and a reason should stay one line there
        plan_table.show(found, Console(highlight=False, width=None if sys.stdout.isatty() else 160))
    if detailed_exitcode and not found.is_idle:
        raise typer.Exit(2)
