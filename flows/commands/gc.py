"""Free the disk of what nobody needs: first what that is and why, then, if a person says so, its removal.

dopsd gc plan --keep-versions 20
dopsd gc apply --keep-versions 20
"""

import importlib
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from flows.mistakes import mistakes_told, told
from flows.options import AsJson
from tasks.gc.piece import Piece

app = typer.Typer(help="Remove what no version, branch or run needs.", no_args_is_help=True)
Newest = Annotated[
    int | None,
    typer.Option("--keep-versions", min=0, help="Give up versions beyond the newest so many; all stay by default."),
]
Rejected = Annotated[
    str | None,
    typer.Option("--keep-rejected", metavar="SPAN", help="Give up versions that were rejected longer ago, as 30d."),
]
Remotes = Annotated[
    list[str] | None,
    typer.Option("--remote", metavar="NAME", help="Look into this remote of DVC's, too; may be repeated."),
]
Recent = Annotated[str, typer.Option("--keep-recent", metavar="SPAN", help="Leave what was made or used since then.")]


@app.command()
def plan(
    newest: Newest = None,
    rejected: Rejected = None,
    recent: Recent = "7d",
    remotes: Remotes = None,
    as_json: AsJson = False,
) -> None:
    """Tell what would go, how much that is, and why, without doing it."""
    with mistakes_told():
        found = _collection().plan(Path(), _keeping(newest, rejected, recent, remotes))
    _show(found, as_json=as_json)


@app.command()
def apply(
    newest: Newest = None,
    rejected: Rejected = None,
    recent: Recent = "7d",
    remotes: Remotes = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove it, once no run is at work; asks first."""
    with mistakes_told():
        keeping = _keeping(newest, rejected, recent, remotes)
        found = _collection().plan(Path(), keeping)
        if found and not yes:
            told.print(_table(found))
            typer.confirm("Remove all of this?", abort=True, err=True)
        gone = _collection().apply(Path(), keeping, found)
    _show(gone, as_json=as_json)
    told.print(f"freed {decimal(sum(piece.size for piece in gone))}")


def _collection() -> Any:
    logging.getLogger("dvc").setLevel(logging.ERROR)  # it warns of every output that a commit has not made yet
    return importlib.import_module("tasks.gc.collection")


def _keeping(newest: int | None, rejected: str | None, recent: str, remotes: Sequence[str] | None) -> Any:
    return importlib.import_module("tasks.gc.keeping").Keeping.of(newest, rejected, recent, remotes or ())


def _show(found: Sequence[Piece], *, as_json: bool) -> None:
    if as_json:
        groups = _groups(found)
        print(json.dumps([_row(some) | {"names": [piece.name for piece in some]} for some in groups]))
    elif found:
        # a pipe has no width, and a reason should stay one line there
        Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(_table(found))
    else:
        print("nothing is left over")


def _table(found: Sequence[Piece]) -> Table:
    """Lay out a row a kind and reason; versions by their names, as a person wants to know which."""
    table = Table("kind", "how many", "size", "why", box=None, pad_edge=False, header_style="bold")
    for some in _groups(found):
        row, why = _row(some), some[0].why
        names = f" ({', '.join(piece.name for piece in some)})" if row["kind"] == "version" else ""
        table.add_row(row["kind"], str(row["objects"]), decimal(row["bytes"]), Text(why + names))
    return table


def _groups(found: Sequence[Piece]) -> list[list[Piece]]:
    """Put together what is of one kind and goes for one reason."""
    groups: dict[tuple[str, str], list[Piece]] = {}
    for piece in found:
        groups.setdefault((piece.kind, piece.why), []).append(piece)
    return list(groups.values())


def _row(some: Sequence[Piece]) -> dict[str, Any]:
    size = sum(piece.size for piece in some)
    return {"kind": some[0].kind, "objects": len(some), "bytes": size, "why": some[0].why}
