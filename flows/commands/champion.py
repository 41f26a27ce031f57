"""Which version serves: ask, promote by hand, go back; every move is a line of the ledger.

dopsd champion --at 2026-10-01
dopsd promote v7 --reason "the studio chose it"
dopsd rollback --reason "hands have six fingers"
"""

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flows.mistakes import mistakes_told, told
from flows.options import AsJson
from tasks.params import load
from tasks.versions.ledger import Entry, of_model, read

Reason = Annotated[str, typer.Option(help="Why; it stands in the ledger.")]


def champion(
    at: Annotated[
        str | None, typer.Option(metavar="DAY|TIME", help="Who it was then, in UTC; a day means its end.")
    ] = None,
    log: Annotated[bool, typer.Option(help="Every decision, oldest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell which version serves, since when, and who decided that."""
    with mistakes_told():
        name, root = load(Path()).register.model, Path()
        if log:
            found = of_model(read(root), name)
        else:
            entry = importlib.import_module("tasks.versions.succession").champion_at(name, at, root)
            found = [entry] if entry else []
    if as_json:
        rows = [asdict(row) for row in found]
        print(json.dumps(rows if log else rows[0] if rows else None))
        return
    for row in found:
        Console(highlight=False).print(_logged(row) if log else _told(row), markup=False, soft_wrap=True)
    if not found:
        print("nobody")


def promote(
    version: Annotated[str, typer.Argument(help="v7, or challenger.")],
    reason: Reason,
    despite_rejection: Annotated[bool, typer.Option(help="Though the gate rejected it.")] = False,
) -> None:
    """Make a version champion because a person says so."""
    with mistakes_told():
        name, promotion = load(Path()).register.model, importlib.import_module("tasks.versions.promotion")
        known = promotion.standing(name, Path())
        entry = promotion.promote(
            name, version, reason, Path(), known=known, despite_rejection=despite_rejection
        )  # fmt: skip
    told.print(_told(entry), markup=False, soft_wrap=True)


def rollback(reason: Reason = "no reason was given") -> None:
    """Give the alias back to the champion before this one."""
    with mistakes_told():
        name, promotion = load(Path()).register.model, importlib.import_module("tasks.versions.promotion")
        entry = promotion.rollback(name, reason, Path(), known=promotion.standing(name, Path()))
    told.print(_told(entry), markup=False, soft_wrap=True)


def _told(entry: Entry) -> str:
    """Say who is champion, and since which decision."""
    return f"{entry.champion}  since {_logged(entry)}"


def _logged(entry: Entry) -> str:
    """Say a decision: the gate's by its verdict and what did not pass, a person's with the reason."""
    if entry.verdict:
        wanting = [f"\n    {line}" for line in entry.reason.split("\n") if line and " passed against " not in line]
        return f"{entry.at}  {entry.by}: {entry.verdict} {entry.version}{''.join(wanting)}"
    return f"{entry.at}  {entry.by}: {entry.action} {entry.version} ({entry.reason})"
