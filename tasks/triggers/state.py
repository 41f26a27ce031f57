"""Where every image stands: waiting, taken by the run that is under way, or trained on; made of events alone.

state = State(); state.follow(Arrived(at=now, image="5f3a")); state.waiting
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from tasks.triggers.events import Arrived, Ended, Event, Fired, Refused, Withdrawn


@dataclass
class State:
    """What the events up to now came to; an image is in one of `waiting`, `taken` and `trained`, never in two."""

    waiting: dict[str, Arrived] = field(default_factory=dict)
    taken: dict[str, Arrived] = field(default_factory=dict)
    trained: set[str] = field(default_factory=set)
    open_run: Fired | None = None
    fired_at: list[datetime] = field(default_factory=list)
    ended_at: datetime | None = None
    oldest: datetime | None = None
    newest: datetime | None = None

    def follow(self, event: Event) -> None:
        """Take one event in; what changes nothing (an image known already, the end of another run) is passed over.

        Raises ValueError for a run that began while another was open, or that takes what is not waiting.
        """
        match event:
            case Arrived():
                self._arrive(event)
            case Withdrawn():
                self.waiting.pop(event.image, None)
                self._measure()
            case Fired():
                self._fire(event)
            case Ended():
                self._end(event)
            case Refused():
                pass

    def _arrive(self, event: Arrived) -> None:
        if event.image in self.waiting or event.image in self.taken or event.image in self.trained:
            return
        self.waiting[event.image] = event
        self.oldest = min(event.at, self.oldest or event.at)
        self.newest = max(event.at, self.newest or event.at)

    def _fire(self, event: Fired) -> None:
        if self.open_run is not None:
            raise ValueError(f"{event.run} began while {self.open_run.run} was open: two watchers wrote one history")
        if strange := set(event.images) - self.waiting.keys():
            raise ValueError(f"{event.run} takes {len(strange)} images that do not wait: the history lost their lines")
        self.taken = {image: self.waiting.pop(image) for image in event.images}
        self.open_run = event
        self.fired_at.append(event.at)
        self._measure()

    def _end(self, event: Ended) -> None:
        if self.open_run is None or event.run != self.open_run.run:
            return
        if event.outcome == "completed":
            self.trained |= self.taken.keys()
        else:
            self.waiting = self.taken | self.waiting
        self.taken, self.open_run, self.ended_at = {}, None, event.at
        self._measure()

    def _measure(self) -> None:
        """Look up when the first and the last waiting image came: too long to do at each arrival."""
        times = [arrived.at for arrived in self.waiting.values()]
        self.oldest, self.newest = min(times, default=None), max(times, default=None)


def after(events: Iterable[Event]) -> State:
    """Make the state that a history leads to; raises ValueError where it contradicts itself."""
    state = State()
    for event in events:
        state.follow(event)
    return state
