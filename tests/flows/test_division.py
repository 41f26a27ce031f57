"""A stage that is divided, on a real Prefect server; whoever plays the workers says how each shard ended."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Failed

from flows import deployed, division
from flows.budget import Budget, OutOfTime
from flows.provision import make_pools
from flows.reproduction import StageFailed
from tasks.errands.errand import Errand
from tasks.params import Params, parse
from tasks.pipeline import stage
from tasks.planning.count import Count
from tasks.planning.installation import POOL
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
    monkeypatch.setattr(division, "_LOOK_S", 0)
    return said


def runs(server: SyncPrefectClient, asked: Errand) -> list[FlowRun]:
    tags = FlowRunFilterTags(all_=[division._tag(asked)])
    return server.read_flow_runs(flow_run_filter=FlowRunFilter(tags=tags))


def played(
    server: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, how: Callable[[FlowRun], Any] = lambda run: Completed()
) -> list[tuple[int, int]]:
    """Let one run end at each look, the one that was begun last; gives its number, and how many were under way."""
    looked, told = division.ended, list[tuple[int, int]]()

    def look(waited_for: Collection[UUID]) -> list[FlowRun]:
        run = server.read_flow_run(list(waited_for)[-1])
        told.append((run.parameters["number"], len(waited_for)))
        server.set_flow_run_state(run.id, how(run), force=True)
        return looked(waited_for)

    monkeypatch.setattr(division, "ended", look)
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
    division._begun(asked, "dopsd", 9, 7)
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
    monkeypatch.setenv(POOL, "cuda")
    deployed.refuse_to_wait_for_itself(params())
