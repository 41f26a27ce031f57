"""Replay a history under another policy on a virtual clock: which runs would have started, when and why.

dopsd trigger simulate runs/triggers/new-images/events.jsonl --policy policy.yaml
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.triggers.decision import Fire, Wait, decide
from tasks.triggers.events import Arrived, Ended, Event, Fired, Withdrawn
from tasks.triggers.policy import Policy
from tasks.triggers.state import State


@dataclass(frozen=True)
class Replay:
    """The runs that would have started, and what is left at the end, with why it waits."""

    fires: tuple[Fired, ...]
    left: tuple[str, ...]
    reason: str


def run_name(trigger: str, state: State) -> str:
    """Name the next run of a trigger: new-images-0001, and so on."""
    return f"{trigger}-{len(state.fired_at) + 1:04d}"


def simulate(policy: Policy, history: Iterable[Event], run_takes: timedelta) -> Replay:
    """Let images come and go as they did, and every run complete after `run_takes`; the runs of old are left out.

    The clock jumps from one thing that happens to the next, and goes on until nothing more would.
    """
    coming = sorted((event for event in history if isinstance(event, Arrived | Withdrawn)), key=lambda event: event.at)
    coming.reverse()  # the next one is at the end
    state, fires = State(), list[Fired]()
    decision: Fire | Wait = Wait("no new image")
    now = coming[-1].at if coming else None
    while now is not None:
        while coming and coming[-1].at <= now:
            state.follow(coming.pop())
        if state.open_run is not None and now >= fires[-1].at + run_takes:
            state.follow(Ended(at=now, run=state.open_run.run, outcome="completed"))
        decision = decide(policy, state, now)
        if isinstance(decision, Fire):
            fires.append(Fired(at=now, run=run_name("run", state), images=decision.images, reason=decision.reason))
            state.follow(fires[-1])
            continue
        ends = fires[-1].at + run_takes if state.open_run is not None else None
        now = _next(decision.until, ends, coming[-1].at if coming else None)
    return Replay(tuple(fires), tuple(state.waiting), decision.reason)


def _next(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
