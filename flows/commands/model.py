"""What the record is good for: make a version again from it, or the whole registry.

dopsd model reproduce v7
dopsd model restore
"""

import importlib
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from flows.commands.lineage import model
from flows.mistakes import mistakes_told, told
from flows.options import AsJson
from tasks.params import load
from tasks.versions import ledger
from tasks.versions.ledger import Entry


@model.command()
def reproduce(
    version: Annotated[str, typer.Argument(help="v7, champion or challenger.")],
    keep: Annotated[Path | None, typer.Option(help="Work in this new folder, and leave it there.")] = None,
    despite_environment: Annotated[bool, typer.Option(help="Though other libraries are installed here.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a version again in a clean clone of its commit; exit with 1 where its weights are not what they were."""
    with mistakes_told():
        root, name = Path(), load(Path()).register.model
        known = importlib.import_module("tasks.ancestry.records").records(root, name)
        chosen = importlib.import_module("tasks.ancestry.tree").chosen(root, name, known, version).version
        if keep and keep.exists():
            raise ValueError(f"{keep} is there already: name a folder that is not")
        _warn(chosen, ledger.of_model(ledger.read(root), name))
        with nullcontext(str(keep)) if keep else TemporaryDirectory(prefix=f"dopsd-{chosen}-") as folder:
            found = importlib.import_module("flows.rebuilding").rebuilt(
                root, known, chosen, Path(folder), despite_environment=despite_environment
            )
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        told.print(_sentence(found), markup=False, soft_wrap=True)
    if not found.is_alike:
        raise typer.Exit(1)


@model.command()
def restore() -> None:
    """Enter the versions again that MLflow has lost, from git, DVC and the ledger alone."""
    with mistakes_told():
        name = load(Path()).register.model
        entered = importlib.import_module("tasks.versions.restored").restore(Path(), name)
    told.print(f"there again: {', '.join(entered)}" if entered else "the registry has every version")


def _warn(version: str, entries: Sequence[Entry]) -> None:
    """Say of a version that was given up why something may be missing."""
    for entry in entries:
        if (entry.action, entry.version) == ("gc", version):
            text = f"warning: `dopsd gc` gave {version} up ({entry.reason}): what it was made from may be gone"
            told.print(text, style="yellow", markup=False, soft_wrap=True)


def _sentence(found: Any) -> str:
    """Say how the weights came out, and where that began."""
    if found.weights == found.recorded:
        return f"{found.version} is what it was, bit by bit: {found.recorded}"
    allowed = f"allowed are {found.tolerance:.3g}" if found.tolerance else "the same bits are owed"
    largest, part = found.distance.largest, found.distance.relative
    size = f"its weights differ by up to {largest:.3g}, {part:.3g} of a tensor's norm ({allowed})"
    begins = f"the first stage with another output is {found.differing[0]}"
    return f"{found.version} is {'near to' if found.is_alike else 'not'} what it was: {size}; {begins}"
