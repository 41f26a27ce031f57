"""Watch a source and start runs by a policy: look, note, decide, stage, ask; every turn may be the last before a crash.

    with journal(folder) as history:
        watch = Watch("new-images", policy, history, inbox, starter, places)
        while True: watch.turn(datetime.now(UTC))

What was noted is done again after a restart where it may not have been done; doing it twice changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from tasks.triggers.batches import admit, stage
from tasks.triggers.decision import Fire, Wait, decide
from tasks.triggers.events import Ended, Event, Fired
from tasks.triggers.inbox import Inbox
from tasks.triggers.journal import Journal
from tasks.triggers.policy import Policy

_ASK_AGAIN = timedelta(minutes=2)


class Starter(Protocol):
    """What starts runs and knows how they ended; both raise Unreachable."""

    def start(self, run: Fired) -> None:
        """Ask for a run; where it was asked for before, the later one finds its work done."""
        ...

    def outcome(self, run: Fired) -> Literal["unknown", "open", "completed", "failed"]:
        """Tell how a run ended; "unknown" where nobody has heard of it."""
        ...


@dataclass(frozen=True)
class Places:
    """Where batches wait, and the folder below `ingest.source` that they go to."""

    batches: Path
    source: Path


@dataclass
class Watch:
    """A trigger at work."""

    name: str
    policy: Policy
    journal: Journal
    inbox: Inbox
    starter: Starter
    places: Places
    asked_at: datetime | None = None

    def turn(self, now: datetime) -> tuple[list[Event], Fire | Wait]:
        """Do what is to be done now; gives what happened, and the decision. Raises Unreachable, after noting images."""
        happened = list[Event]()
        for event in self.inbox.look(now, self.journal.state.waiting):
            self._note(event, happened)
        self._follow_up(now, happened)
        decision = decide(self.policy, self.journal.state, now)
        if isinstance(decision, Fire) and not self._fire(decision, now, happened):
            decision = Wait("a file changed as it was copied: the next look says what it is now")
        return happened, decision

    def _note(self, event: Event, happened: list[Event]) -> None:
        self.journal.append(event)
        happened.append(event)

    def _follow_up(self, now: datetime, happened: list[Event]) -> None:
        """Ask what became of the run that is under way, and for the run itself where nobody knows it."""
        run = self.journal.state.open_run
        if run is None:
            return
        outcome = self.starter.outcome(run)
        if outcome in ("completed", "failed"):
            self._note(Ended(at=now, run=run.run, outcome=outcome), happened)
        elif outcome == "unknown" and (self.asked_at is None or now - self.asked_at >= _ASK_AGAIN):
            self._ask(run, now)

    def _fire(self, decision: Fire, now: datetime, happened: list[Event]) -> bool:
        """Stage the batch, note the run, ask for it; in this order, as each may be the last thing that we do."""
        name = f"{self.name}-{now:%Y%m%dT%H%M%S}"
        images = [self.journal.state.waiting[image] for image in decision.images]
        staged = stage(self.inbox, images, self.places.batches / name)
        if staged is None:
            return False
        run = Fired(at=now, run=name, images=decision.images, reason=decision.reason)
        self._note(run, happened)
        self.inbox.staged(staged)
        self._ask(run, now)
        return True

    def _ask(self, run: Fired, now: datetime) -> None:
        """Let the batch into the dataset, then ask for the run that learns from it."""
        admit(self.places.batches, self.places.source)
        self.asked_at = now
        self.starter.start(run)
