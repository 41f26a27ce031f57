"""Triggers on the command line: try a policy on a history, before it decides over GPU hours.

dopsd trigger simulate runs/triggers/new-images/events.jsonl --policy policy.yaml
"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from flows.mistakes import mistakes_told, told
from tasks.triggers import policy as policies
from tasks.triggers.events import Fired, history
from tasks.triggers.simulation import Replay, simulate

app = typer.Typer(help="Start runs on new images, by a policy.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Option("--policy", metavar="FILE", help="The policy, as YAML.")]


@app.command(name="simulate")
def replay(
    events: Annotated[Path, typer.Argument(metavar="EVENTS.jsonl", help="What came when.")],
    policy: PolicyFile,
    run_takes: Annotated[str, typer.Option(metavar="SPAN", help="How long each run would have taken.")] = "1h",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")] = False,
) -> None:
    """Replay a history on a virtual clock and print the runs that the policy would have started."""
    with mistakes_told():
        happened = history(events)
        found = simulate(policies.load(policy), happened.events, policies.duration(run_takes))
    for mistake in happened.mistakes:
        told.print(f"left out: {mistake}", style="yellow", markup=False, soft_wrap=True)
    if as_json:
        print(json.dumps(_as_json(found)))
    else:
        _show(found, Console(highlight=False))


def _as_json(found: Replay) -> dict[str, object]:
    fires = [fire.model_dump(mode="json", exclude={"event"}) for fire in found.fires]
    return {"fires": fires, "left": list(found.left), "reason": found.reason}


def _show(found: Replay, console: Console) -> None:
    table = Table("run", "at", Column("images", justify="right"), "why", box=None, pad_edge=False, header_style="bold")
    for fire in found.fires:
        table.add_row(fire.run, _time(fire), str(len(fire.images)), fire.reason)
    console.print(table if found.fires else "no run would have started")
    if found.left:
        console.print(f"left: {len(found.left)} images, as there are {found.reason}")


def _time(fire: Fired) -> str:
    return fire.at.isoformat(sep=" ", timespec="seconds")
