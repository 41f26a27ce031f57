"""A trigger at work: look, decide, tell, wait, and again.

watch("inbox", Path("triggers/new-images.yaml"), "new-images", "5s")          (`dopsd trigger watch`)

What it knows lies in runs/triggers/<name>: stop it, kill it, start it again.
"""

import importlib
import os
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from flows.mistakes import told
from flows.serving import running
from tasks import git
from tasks.folders import write_json
from tasks.params import PARAMS_FILE, Params, load
from tasks.triggers import policy as policies
from tasks.triggers.decision import Fire, Wait
from tasks.triggers.events import Arrived, Ended, Event, Fired, Refused, Withdrawn
from tasks.triggers.inbox import Inbox
from tasks.triggers.journal import TRIGGERS, WATCHED, journal
from tasks.triggers.sources import catalogue
from tasks.triggers.sources.offers import Offers
from tasks.triggers.sources.source import Source, Unreachable
from tasks.triggers.watch import Places, Starter, Watch

_API = "PREFECT_API_URL"


def watch(address: str, policy: Path, name: str, every: str) -> None:
    """Watch a place and start a run when the policy says so, for ever; raises ValueError, FileNotFoundError."""
    params, chosen, pause = load(Path()), policies.load(policy), policies.duration(every).total_seconds()
    if pause < 1:
        raise ValueError(f"--every is {every}: looking more than once a second helps nobody")
    _check(name, catalogue.local(address), params)
    place, starter = TRIGGERS / name, _starter()
    source = _reached(address, place, Path(params.ingest.source))
    with journal(place) as written:
        write_json(place / WATCHED, {"source": address})
        for mistake in written.mistakes:
            told.print(f"left out: {mistake}", style="yellow", markup=False, soft_wrap=True)
        places = Places(place / "batches", Path(params.ingest.source) / name)
        inbox = Inbox(source, params.ingest, place)
        _go_on(Watch(name, chosen, written, inbox, starter, places), pause)


def _check(name: str, folder: Path | None, params: Params) -> None:
    """Raise ValueError where a run could see half an upload, or the name cannot be a folder."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"--name is {name!r}: use letters, digits, - and _")
    source = Path(params.ingest.source)
    if folder is not None:
        catalogue.refuse_overlap(folder, source)
    # no answer: there is no repository, or the folder lies outside of it
    if git.said_if_it_can(Path(), "ls-files", "--", str(source.resolve())):
        said = f"ingest.source of {PARAMS_FILE} ({params.ingest.source}) is in git"
        raise ValueError(f"{said}, where a worker's run would not see new images: name a folder that git ignores")


def _reached(address: str, place: Path, ingested: Path) -> Source:
    """Find the source, and look whether it answers: what is wrong from the start is a mistake, and told as one."""
    if address.startswith(catalogue.OFFERED):
        hear = partial(importlib.import_module("flows.hearing").heard, address.removeprefix(catalogue.OFFERED))
        source: Source = Offers(hear, place / "offers.json", ingested)
    else:
        source = catalogue.named(address)
    try:
        source.marks()
    except Unreachable as error:
        raise ValueError(str(error)) from error
    return source


def _starter() -> Starter:
    """Find the server: the one that the environment names, or the one that was started here."""
    machine = running(Path())
    if _API not in os.environ:
        if machine is None:
            raise ValueError(f"no Prefect server is known here: `dopsd up` starts one, or set {_API}")
        os.environ[_API] = machine.api
    starter: Starter = importlib.import_module("flows.asking").Asking()
    return starter


def _go_on(trigger: Watch, pause_s: float) -> None:
    """Take turn after turn; tell what happens, and what is waited for when that changes."""
    last = ""
    while True:
        try:
            happened, decision = trigger.turn(datetime.now(UTC))
            _tell(happened)
            said = _said(decision)
        except Unreachable as error:
            said = str(error)
        if said != last:
            told.print(f"{datetime.now(UTC):%H:%M:%S}  {said}", markup=False, soft_wrap=True)
        last = said
        time.sleep(pause_s)


def _said(decision: Fire | Wait) -> str:
    if isinstance(decision, Fire):
        return f"a run is asked for: {decision.reason}"
    return decision.reason + (f"; a run is due at {decision.until:%Y-%m-%d %H:%M:%S} UTC" if decision.until else "")


def _tell(happened: Iterable[Event]) -> None:
    events = list(happened)
    for kind, what in ((Arrived, "arrived"), (Withdrawn, "withdrawn")):
        if count := sum(isinstance(event, kind) for event in events):
            told.print(f"  {count} images {what}")
    for event in events:
        if isinstance(event, Refused):
            told.print(f"  {event.file} counts for nothing: {event.reason}", markup=False, soft_wrap=True)
        if isinstance(event, Fired):
            told.print(f"  {event.run}: {event.reason}", markup=False)
        if isinstance(event, Ended):
            told.print(f"  {event.run} {event.outcome}", markup=False)
