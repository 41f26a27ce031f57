"""Look at all that a run will stand on, before it does.

dopsd doctor

Exit code 1 where something would stop a run; warnings alone are 0.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.examination import CHECKS
from flows.installed import Level

_STYLES: Mapping[Level, str] = {"good": "green", "warning": "yellow", "bad": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Check libraries, params, deployments, disk, clock, locks, remotes, servers and GPU, and say what to do."""
    found = {name: check(Path()) for name, check in CHECKS.items()}
    if as_json:
        print(json.dumps({name: asdict(finding) for name, finding in found.items()}))
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, finding in found.items():
            table.add_row(name, Text(finding.level, _STYLES[finding.level]), Text(finding.sentence))
        Console(highlight=False).print(table)
    if any(finding.level == "bad" for finding in found.values()):
        raise typer.Exit(1)
