"""Triggers on the command line: watch a place, and try a policy on a history before it decides over GPU hours.

dopsd trigger watch inbox --policy triggers/new-images.yaml; dopsd trigger list
dopsd trigger simulate runs/triggers/new-images/events.jsonl --policy policy.yaml
"""

import fcntl
import importlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from flows.mistakes import mistakes_told, told
from tasks.triggers import policy as policies
from tasks.triggers.events import Arrived, Event, Fired, Refused, history
from tasks.triggers.journal import EVENTS, TRIGGERS
from tasks.triggers.simulation import Replay, simulate
from tasks.triggers.state import after

app = typer.Typer(help="Start runs on new images, by a policy.", no_args_is_help=True)

_MOST_TOLD = 3
PolicyFile = Annotated[Path, typer.Option("--policy", metavar="FILE", help="The policy, as YAML.")]


@app.command()
def watch(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder, s3://BUCKET/..., git+URL@BRANCH, event://NAME.")
    ],
    policy: PolicyFile,
    name: Annotated[str | None, typer.Option(help="Its name; without it, that of the policy file.")] = None,
    every: Annotated[str, typer.Option(metavar="SPAN", help="How often to look.")] = "5s",
) -> None:
    """Watch a place and start a run when the policy says so, until Ctrl-C; needs the server of `dopsd up`."""
    with mistakes_told():
        importlib.import_module("flows.watching").watch(source, policy, name or policy.stem, every)


@app.command(name="list")
def list_triggers() -> None:
    """Say where the images of each trigger stand, which run is under way, and what was refused last and why."""
    counted = (Column(name, justify="right") for name in ("waiting", "taken", "trained", "refused"))
    table = Table("trigger", "", *counted, "run under way", box=None, pad_edge=False, header_style="bold")
    last = list[str]()
    with mistakes_told():
        for path in sorted(TRIGGERS.glob(f"*/{EVENTS}")):
            events = history(path).events
            state, refused = after(events), _refused(events)
            counts = [str(len(found)) for found in (state.waiting, state.taken, state.trained, refused)]
            under_way = state.open_run.run if state.open_run else "-"
            table.add_row(path.parent.name, "watched" if _is_watched(path) else "not watched", *counts, under_way)
            last += [f"{path.parent.name}: {file}: {reason}" for file, reason in list(refused.items())[-_MOST_TOLD:]]
    Console(highlight=False).print(table if table.rows else "no trigger: `dopsd trigger watch` makes one")
    for said in last:
        told.print(said, markup=False, soft_wrap=True)


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


def _refused(events: Iterable[Event]) -> dict[str, str]:
    """List what counts for nothing, and why; a file that came good later is no longer in it."""
    found = dict[str, str]()
    for event in events:
        if isinstance(event, Refused | Arrived):
            found.pop(event.file, None)
        if isinstance(event, Refused):
            found[event.file] = event.reason
    return found


def _is_watched(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
