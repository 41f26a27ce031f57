"""A stage that is divided, on a real Prefect server; whoever plays the workers says how each shard ended."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Failed

from flows import deployed, division, working_off
from flows.budget import Budget, OutOfTime
from flows.provision import make_pools
from flows.reproduction import MayPass, StageFailed
from tasks.errands.errand import Errand
from tasks.params import Params, parse
from tasks.pipeline import stage
from tasks.planning.count import Count
from tasks.planning.installation import POOL
from tasks.stores.shard import Shard
from tests.fake_workspace import PARAMS

NAMED = Errand("caption", "", "c0ffee", "params", {"data/images": "abc.dir"}, {"packages": {}, "numerics": {}}, "here")


def params(**machine: int) -> Params:
    return parse(PARAMS | {"machine": {"images_per_shard": 10, "shards_at_once": 3} | machine})


@pytest.fixture
def server(prefect: str) -> Iterator[SyncPrefectClient]:
    """A server that knows the deployment."""
    make_pools()
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow_from_name("shard"), "shard", work_pool_name="gpu")
        yield client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Errand:
    """An errand of our own, without a folder that it comes from."""
    said = replace(NAMED, key=uuid4().hex)
    monkeypatch.setattr(division, "errand", lambda *_, **__: said)
    monkeypatch.setattr(division, "load", lambda _: params())
    monkeypatch.setattr(working_off, "_LOOK_S", 0)
    return said


def runs(server: SyncPrefectClient, asked: Errand) -> list[FlowRun]:
    tags = FlowRunFilterTags(all_=[division._tag(asked)])
    return server.read_flow_runs(flow_run_filter=FlowRunFilter(tags=tags))


def played(
    server: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, how: Callable[[FlowRun], Any] = lambda run: Completed()
) -> list[tuple[int, int]]:
    """Let one run end at each look, the one that was begun last; gives its number, and how many were under way."""
    looked, told = working_off.ended, list[tuple[int, int]]()

    def look(waited_for: Collection[UUID]) -> list[FlowRun]:
        run = server.read_flow_run(list(waited_for)[-1])
        told.append((run.parameters["number"], len(waited_for)))
        server.set_flow_run_state(run.id, how(run), force=True)
        return looked(waited_for)

    monkeypatch.setattr(working_off, "ended", look)
    return told


def divided(missing: int = 45, budget: Budget | None = None) -> None:
    division.divide(stage("caption"), Count(missing, 1000), budget or Budget())


def test_so_many_shards_as_work_is_missing_and_so_many_at_once(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = played(server, monkeypatch)
    divided()
    assert sorted(number for number, _ in told) == [1, 2, 3, 4, 5]
    assert [under_way for _, under_way in told] == [3, 3, 3, 2, 1]
    found = {run.name: run for run in runs(server, asked)}
    last = found["dopsd, caption, 5 of 5"]
    assert (len(found), last.work_pool_name, last.parameters["of"]) == (5, "gpu", 5)
    assert last.parameters["store"].endswith("runs/store")


def test_what_one_shard_is_for_is_left_to_the_stage(asked: Errand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "begun", lambda *_, **__: pytest.fail("a shard was begun"))
    divided(missing=10)
    division.divide(stage("caption"), None, Budget())
    monkeypatch.setattr(division, "load", lambda _: parse(PARAMS))
    divided(missing=100_000)


def test_a_shard_that_crashes_is_begun_again(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[Any] = [Crashed(message="no heart beats")]
    told = played(
        server, monkeypatch, lambda run: ends.pop() if ends and run.parameters["number"] == 2 else Completed()
    )
    divided(missing=35)
    assert sorted(number for number, _ in told) == [1, 2, 2, 3, 4]


def test_a_shard_that_crashes_every_time_is_given_up(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = played(server, monkeypatch, lambda _: Crashed(message="no heart beats"))
    with pytest.raises(StageFailed, match="no heart beats"):
        divided(missing=11)
    assert 4 <= len(told) < 8


def test_a_mistake_ends_all_of_it(server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch) -> None:
    played(server, monkeypatch, lambda _: Failed(message="on there: no word for star-01.png"))
    with pytest.raises(StageFailed, match=r"no word for star-01\.png"):
        divided()
    states = sorted(str(run.state_name) for run in runs(server, asked))
    assert states[-1] == "Failed"
    assert len(states) == 3
    assert set(states[:-1]) <= {"Cancelling", "Cancelled"}


def test_what_a_run_left_that_died_ends_before_anything_else_begins(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    division._begun(asked, "dopsd", 9, {"store": "runs/store"}, 7)
    told = played(server, monkeypatch, lambda run: Crashed() if run.parameters["of"] == 9 else Completed())
    divided(missing=15)
    assert (told[0], sorted(number for number, _ in told[1:])) == ((7, 1), [1, 2])


def test_shards_are_asked_to_end_when_the_budget_does(server: SyncPrefectClient, asked: Errand) -> None:
    with pytest.raises(OutOfTime):
        divided(budget=Budget(0.001))
    assert {run.state_name for run in runs(server, asked)} <= {"Cancelling", "Cancelled"}


def test_a_run_that_keeps_a_worker_from_its_own_shards_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    context = type(
        "Context", (), {"get": lambda: type("Run", (), {"flow_run": type("Of", (), {"work_pool_name": "gpu"})})}
    )
    monkeypatch.setattr(division, "FlowRunContext", context)
    with pytest.raises(ValueError, match=r"machine\.images_per_shard .* `work_pool: \{name: cpu\}`"):
        deployed.refuse_to_wait_for_itself(params())
    deployed.refuse_to_wait_for_itself(parse(PARAMS))


@pytest.fixture
def away(asked: Errand, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What lacks here, where stages are sent to machines that share no disk; whatever comes is taken off."""
    lacks = {"latents": [f"{number:064x}" for number in range(45)], "teacher": ["0" * 64]}
    monkeypatch.setenv(POOL, "cuda")
    monkeypatch.setattr(division.baggage, "send", lambda *_: None)
    monkeypatch.setattr(division.parcel, "ask", lambda lacking, _: f"{len(lacking['latents'])} latents")
    monkeypatch.setattr(division.parcel, "forget", lambda name, _: lacks.setdefault("forgotten", []).append(name))
    monkeypatch.setattr(division.parcel, "unpack", lambda name, shard, _: lacks["latents"].clear())
    monkeypatch.setattr(division, "_lacking", lambda _: {} if not lacks["latents"] else dict(lacks))
    return lacks


def test_machines_without_a_shared_disk_are_told_what_lacks_and_send_it(
    server: SyncPrefectClient, asked: Errand, away: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = played(server, monkeypatch)
    divided(missing=1)  # the plan counts what this machine has; what is asked for is what it lacks
    assert sorted(number for number, _ in told) == [1, 2, 3, 4, 5]
    (first, *_) = runs(server, asked)
    assert (first.parameters["parcel"], "store" in first.parameters) == ("45 latents", False)
    assert away["forgotten"] == ["45 latents"]
    told.clear()
    divided(missing=1)
    assert told == []


def test_a_parcel_that_does_not_come_is_made_again(
    server: SyncPrefectClient, asked: Errand, away: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, fails = played(server, monkeypatch), [ConnectionError("cut short")]

    def unpack(_: str, shard: Shard, __: Path) -> None:
        if shard.number == 2 and fails:
            raise fails.pop()
        away["latents"].clear()

    monkeypatch.setattr(division.parcel, "unpack", unpack)
    divided()
    assert sorted(number for number, _ in told) == [1, 2, 2, 3, 4, 5]


def test_what_never_came_is_told_before_this_machine_makes_it(
    server: SyncPrefectClient, asked: Errand, away: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    played(server, monkeypatch)
    monkeypatch.setattr(division.parcel, "unpack", lambda *_: None)
    with pytest.raises(MayPass, match="not all that the shards of caption sent came here"):
        divided()
    assert away["forgotten"] == ["45 latents"]
