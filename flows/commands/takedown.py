"""Take a picture down: say what it reached, remove it, prove that it is gone.

dopsd takedown plan photo.jpg
dopsd takedown apply photo.jpg --reason "the person shown asked for it"
dopsd takedown verify photo.jpg
"""

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows.mistakes import mistakes_told, told
from flows.options import AsJson
from tasks.params import load
from tasks.runner import only_writer
from tasks.triggers.sources.source import Unreachable

app = typer.Typer(help="Take a picture down, with all that learnt from it.", no_args_is_help=True)

Image = Annotated[str, typer.Argument(metavar="FILE|DIGEST", help="The picture; one that is gone by its digest.")]
Bits = Annotated[int, typer.Option(min=0, max=64, help="How many of 64 bits of its looks may differ in a copy.")]
Folders = Annotated[list[Path] | None, typer.Option("--folder", help="Look there, too: an inbox, a report.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the receipt and in the ledger.")]
_FOUND = 6


@app.command(name="plan")
def show_plan(image: Image, bits: Bits = _FOUND, folder: Folders = None, as_json: AsJson = False) -> None:
    """Tell what the picture reached, where it lies, and what `apply` would do."""
    with mistakes_told():
        found = _plan(image, bits, folder)
    _show(found, as_json=as_json)


@app.command()
def verify(image: Image, bits: Bits = _FOUND, folder: Folders = None, as_json: AsJson = False) -> None:
    """Exit with 0 only where nothing of the picture is left, and nothing serves that learnt from it."""
    with mistakes_told():
        found = _plan(image, bits, folder)
    _show(found, as_json=as_json)
    if not found.is_clean:
        raise typer.Exit(1)


@app.command()
def apply(
    image: Image,
    reason: Reason,
    bits: Bits = _FOUND,
    folder: Folders = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without being asked.")] = False,
) -> None:
    """Do it, and write the receipt; after a crash the same command finishes."""
    with mistakes_told(), only_writer(Path()):
        found = _plan(image, bits, folder)
        _show(found, as_json=False)
        if not (found.is_clean or yes):
            typer.confirm("Remove all of this, and move the aliases so?", abort=True)
        receipt = importlib.import_module("tasks.takedown.apply").apply(found, reason, Path(), load(Path()))
    told.print(f"receipt: takedowns/{receipt.name}.json; commit it, with blocked.jsonl", markup=False)
    _tell_what_follows(found, receipt.name)


def _plan(image: str, bits: int, folders: list[Path] | None) -> Any:
    planning = importlib.import_module("tasks.takedown.plan")
    return planning.plan(Path(), load(Path()), image, max_bits=bits, folders=folders or [])


def _show(found: Any, *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        rows = {"traces": [trace.row() for trace in found.traces], "is_clean": found.is_clean}
        said = {name: getattr(found, name) for name in ("serving", "heir", "untagged", "tracked", "parent")}
        print(json.dumps({"reached": asdict(found.reached)} | rows | said, ensure_ascii=False))
        return
    importlib.import_module("flows.commands.takedown_view").show(found, Console(highlight=False))


def _tell_what_follows(found: Any, name: str) -> None:
    """Name what a person has to do yet; where a server serves this folder, training anew is not among it."""
    if left := [trace for trace in found.traces if trace.remove is None]:
        told.print(f"by hand: {'; '.join(trace.name for trace in left)}", markup=False, soft_wrap=True)
    if run := _scheduled(found, name):
        told.print(f"scheduled: the run {run} makes the dataset without it, and trains anew", soft_wrap=True)
    elif found.parent:
        told.print(f"the next run makes the dataset without it and trains anew: dopsd run --parent {found.parent}")
    else:
        told.print("the next run makes the dataset without it, and trains anew: dopsd run")


def _scheduled(found: Any, name: str) -> str | None:
    """Have the next run made, where a version learnt from the picture and a server serves this folder."""
    if not found.reached.trained:
        return None
    try:
        run: str | None = importlib.import_module("flows.retraining").schedule(name, found.parent)
    except Unreachable as failure:
        told.print(f"no run was scheduled: {failure}", markup=False, soft_wrap=True)
        return None
    return run
