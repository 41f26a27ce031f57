"""The trigger's core: whatever happens, no image is lost or taken twice, and no run starts before it may."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.triggers.decision import Fire, Wait, decide
from tasks.triggers.events import Arrived, Ended, Event, Fired, Withdrawn
from tasks.triggers.policy import Policy
from tasks.triggers.simulation import run_name, simulate
from tasks.triggers.state import State, after

START = datetime(2026, 11, 21, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
seconds = st.integers(0, 40).map(lambda number: number * SECOND)
tried = settings(max_examples=100, deadline=None, database=None, derandomize=True)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    quiet_for, longer = draw(seconds), draw(st.none() | seconds)
    return Policy(
        min_new_images=draw(st.integers(1, 4)),
        quiet_for=quiet_for,
        max_wait=None if longer is None else quiet_for + longer,
        cooldown=draw(seconds),
        max_runs_per_day=draw(st.integers(1, 3)),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Images that come, come again and are withdrawn, in the order of their times."""
    at, events = START, list[Event]()
    for pause in draw(st.lists(st.integers(0, 60), max_size=25)):
        at += pause * SECOND
        image = f"image-{draw(st.integers(0, 9))}"
        events.append(draw(st.sampled_from((Arrived, Arrived, Arrived, Withdrawn)))(at=at, image=image))
    return events


def lived(policy: Policy, happened: list[Event], fails: list[bool], run_takes: timedelta) -> list[Event]:
    """Watch second by second, let runs fail as told, and give all that was written; checks each moment."""
    state, written, coming = State(), list[Event](), list(happened)
    fails = list(fails)

    def write(event: Event) -> None:
        written.append(event)
        state.follow(event)

    horizon = int((happened[-1].at - START).total_seconds()) + 400 if happened else 0
    for tick in range(horizon):
        now = START + tick * SECOND
        while coming and coming[0].at <= now:
            write(coming.pop(0))
        if state.open_run and now >= state.fired_at[-1] + run_takes:
            write(Ended(at=now, run=state.open_run.run, outcome="failed" if fails and fails.pop() else "completed"))
        decision = decide(policy, state, now)
        if isinstance(decision, Fire):
            write(Fired(at=now, run=run_name("run", state), images=decision.images, reason=decision.reason))
            assert isinstance(decide(policy, state, now), Wait)
        places = (set(state.waiting), set(state.taken), state.trained)
        assert sum(map(len, places)) == len(set.union(*places))
    return written


@tried
@given(policies(), histories(), st.lists(st.booleans(), max_size=5), seconds)
def test_every_image_stands_in_one_place_and_none_is_lost(
    policy: Policy, happened: list[Event], fails: list[bool], run_takes: timedelta
) -> None:
    written = lived(policy, happened, fails, run_takes)
    state = after(written)
    arrived = {event.image for event in written if isinstance(event, Arrived)}
    kept = set(state.waiting) | set(state.taken) | state.trained
    withdrawn = {event.image for event in written if isinstance(event, Withdrawn)}
    assert kept <= arrived <= kept | withdrawn
    failed = {event.run for event in written if isinstance(event, Ended) and event.outcome == "failed"}
    trained = [
        image for event in written if isinstance(event, Fired) and event.run not in failed for image in event.images
    ]
    assert len(trained) == len(set(trained))


@tried
@given(policies(), histories(), st.lists(st.booleans(), max_size=5), seconds)
def test_no_run_starts_before_the_policy_lets_it(
    policy: Policy, happened: list[Event], fails: list[bool], run_takes: timedelta
) -> None:
    written = lived(policy, happened, fails, run_takes)
    fires = [event for event in written if isinstance(event, Fired)]
    for place, fire in enumerate(written):
        if not isinstance(fire, Fired):
            continue
        before = after(written[:place])
        came = [before.waiting[image].at for image in fire.images]
        is_enough = len(came) >= policy.min_new_images and fire.at - max(came) >= policy.quiet_for
        has_waited = policy.max_wait is not None and fire.at - min(came) >= policy.max_wait
        assert is_enough or has_waited
        assert set(fire.images) == set(before.waiting)
        ends = [event.at for event in written[:place] if isinstance(event, Ended)]
        assert len(ends) == sum(earlier.at < fire.at for earlier in fires)
        assert all(fire.at - end >= policy.cooldown for end in ends)
        assert sum(fire.at - DAY < other.at <= fire.at for other in fires) <= policy.max_runs_per_day


@tried
@given(policies(), histories(), seconds)
def test_jumping_from_event_to_event_equals_watching_every_second(
    policy: Policy, happened: list[Event], run_takes: timedelta
) -> None:
    watched = [event for event in lived(policy, happened, [], run_takes) if isinstance(event, Fired)]
    jumped = simulate(policy, happened, run_takes).fires
    assert list(jumped[: len(watched)]) == watched
    assert all(fire.at >= happened[-1].at + 300 * SECOND for fire in jumped[len(watched) :])


@tried
@given(policies(), histories(), st.floats(0, 100))
def test_until_is_the_very_moment_that_the_decision_changes(
    policy: Policy, happened: list[Event], ahead: float
) -> None:
    state, now = after(happened), (happened[-1].at if happened else START)
    decision = decide(policy, state, now)
    if isinstance(decision, Wait) and decision.until is not None:
        assert isinstance(decide(policy, state, decision.until), Fire)
        assert isinstance(decide(policy, state, decision.until - timedelta(microseconds=1)), Wait)
    elif isinstance(decision, Wait):
        assert isinstance(decide(policy, state, now + timedelta(seconds=ahead * 1e4)), Wait)


def test_a_policy_that_never_waits_fires_at_each_image() -> None:
    policy = Policy(min_new_images=1, quiet_for=0, max_wait=None, cooldown=0, max_runs_per_day=100)
    happened = [Arrived(at=START + number * SECOND, image=str(number)) for number in range(9)]
    assert [fire.images for fire in simulate(policy, happened, timedelta()).fires] == [(str(n),) for n in range(9)]


def test_runs_that_always_fail_are_started_at_most_so_often_a_day() -> None:
    policy, written = (
        Policy(min_new_images=1, quiet_for=0, cooldown=0, max_runs_per_day=3),
        [Arrived(at=START, image="a")],
    )
    state = after(written)
    fires = 0
    for minute in range(3 * 24 * 60):
        now = START + timedelta(minutes=minute)
        if isinstance(decision := decide(policy, state, now), Fire):
            state.follow(Fired(at=now, run=f"run-{fires}", images=decision.images, reason=""))
            state.follow(Ended(at=now, run=f"run-{fires}", outcome="failed"))
            fires += 1
    assert fires == 9
    assert list(state.waiting) == ["a"]


def test_a_history_that_contradicts_itself_is_told() -> None:
    first = [Arrived(at=START, image="a"), Fired(at=START, run="one", images=("a",), reason="")]
    with pytest.raises(ValueError, match="two began while one was open: two watchers wrote one history"):
        after([*first, Fired(at=START, run="two", images=(), reason="")])
    with pytest.raises(ValueError, match="one takes 1 images that do not wait: the history lost their lines"):
        after(first[1:])


def test_a_long_history_is_replayed_soon() -> None:
    happened = [Arrived(at=START + number * SECOND, image=str(number)) for number in range(20_000)]
    found = simulate(Policy(min_new_images=1000, quiet_for=0, cooldown=0, max_runs_per_day=1000), happened, 10 * SECOND)
    assert math.fsum(len(fire.images) for fire in found.fires) == 20_000
