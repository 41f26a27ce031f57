"""Whether a run starts now, and if not, why and until when: policy, state and time in, a decision out.

decide(Policy(), State(), now)
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.triggers.policy import Policy, spelled
from tasks.triggers.state import State

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Fire:
    """Start a run with these images, for this reason."""

    images: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Wait:
    """Start nothing, for this reason; `until` says when that changes if nothing happens, None where it never does."""

    reason: str
    until: datetime | None = None


def decide(policy: Policy, state: State, now: datetime) -> Fire | Wait:
    """Decide at `now`; asked again at `until` with the same state, it fires."""
    if state.open_run is not None:
        return Wait(f"{state.open_run.run} is under way")
    if state.oldest is None or state.newest is None:
        return Wait("no new image")
    due = _due(policy, state, state.oldest, state.newest)
    if due is None:
        return Wait(f"{len(state.waiting)} of {policy.min_new_images} new images")
    last = max([due, *_held(policy, state)], key=lambda wait: wait[0])
    if now < last[0]:
        return Wait(last[1], last[0])
    return Fire(tuple(state.waiting), _why(policy, state))


def _due(policy: Policy, state: State, oldest: datetime, newest: datetime) -> tuple[datetime, str] | None:
    """Say from when on the images alone call for a run; None where more must come."""
    ways = []
    if len(state.waiting) >= policy.min_new_images:
        ways.append((newest + policy.quiet_for, f"more may come: quiet_for is {spelled(policy.quiet_for)}"))
    if policy.max_wait is not None:
        count = f"{len(state.waiting)} of {policy.min_new_images} new images"
        ways.append((oldest + policy.max_wait, f"{count}: max_wait is {spelled(policy.max_wait)}"))
    return min(ways, key=lambda way: way[0], default=None)


def _held(policy: Policy, state: State) -> list[tuple[datetime, str]]:
    """Say until when earlier runs hold the next one back."""
    held = []
    if state.ended_at is not None:
        held.append((state.ended_at + policy.cooldown, f"cooldown is {spelled(policy.cooldown)}"))
    if len(state.fired_at) >= policy.max_runs_per_day:
        first = sorted(state.fired_at)[-policy.max_runs_per_day]
        held.append((first + _DAY, f"max_runs_per_day is {policy.max_runs_per_day}"))
    return held


def _why(policy: Policy, state: State) -> str:
    count = f"{len(state.waiting)} new image{'s' if len(state.waiting) > 1 else ''}"
    if len(state.waiting) >= policy.min_new_images:
        return count
    assert policy.max_wait is not None
    return f"{count}, one of which waited for {spelled(policy.max_wait)}"
