"""Options that several commands share.

def plan(first: From = None, as_json: AsJson = False) -> None: ...
"""

from pathlib import Path
from typing import Annotated

import typer

ROOT = Path()
"""A command works in the current folder."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]
From = Annotated[str | None, typer.Option("--from", metavar="STAGE", help="Rerun it and all after it.")]
Until = Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after it.")]
Only = Annotated[str | None, typer.Option(metavar="STAGE", help="Let it have its turn alone.")]
Force = Annotated[list[str] | None, typer.Option(metavar="STAGE", help="Run it whatever is cached; may be repeated.")]
