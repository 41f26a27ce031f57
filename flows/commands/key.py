"""What decides whether a stage runs, spelled out: its code, libraries, numbers, params and inputs, each with a digest.

dopsd key explain train
dopsd key explain train --against HEAD~3
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows.mistakes import mistakes_told
from tasks.pipeline import stage
from tasks.planning.key import Key, at, now

app = typer.Typer(help="Ask what a stage's cache is keyed by.", no_args_is_help=True)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="STAGE")],
    against: Annotated[str | None, typer.Option(metavar="REV", help="A commit; without it, the last run.")] = None,
) -> None:
    """List the parts of a stage's key, and where they differ from its last run's or from a commit's."""
    with mistakes_told():
        row, root = stage(name), Path()
        new, old = now(row, root), at(row, root, against)
    console = Console(highlight=False, soft_wrap=True)
    for part, value in new.items():
        console.print(_line(part, value, old), markup=False)
    for part in old.keys() - new.keys():
        console.print(f"- {part}  {old[part]}", markup=False)


def _line(part: str, value: str, old: Key) -> str:
    """Mark what is new with +, what changed with ~ and its old value."""
    if part not in old:
        return f"+ {part}  {value}"
    return f"  {part}  {value}" if old[part] == value else f"~ {part}  {old[part]} -> {value}"
