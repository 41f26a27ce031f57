"""A stage that is sent, on a real Prefect server; whoever plays the worker says how it ended."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.states import Completed, Crashed, Failed

from flows import sending
from flows.budget import Budget, OutOfTime
from flows.errand import PASSING
from flows.provision import make_pools
from flows.reproduction import MayPass, StageFailed
from flows.sending import send
from tasks.errands.errand import Errand
from tasks.params import parse
from tasks.pipeline import stage
from tests.fake_workspace import PARAMS

NAMED = Errand("train", "", "c0ffee", "params", {"data/probe": "abc.dir"}, {"packages": {}, "numerics": {}}, "here")


@pytest.fixture
def server(prefect: str) -> Iterator[SyncPrefectClient]:
    """A server that knows the deployment."""
    make_pools()
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow_from_name("stage"), "stage", work_pool_name="gpu")
        yield client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Errand:
    """An errand of our own, without a folder that it comes from; its outcome is there once somebody waited for it."""
    said = replace(NAMED, key=uuid4().hex)
    come = iter([False, True])
    monkeypatch.setattr(sending, "errand", lambda *_, **__: said)
    monkeypatch.setattr(sending.baggage, "bring_outcome", lambda *_: next(come))
    monkeypatch.setattr(sending.baggage, "send", lambda *_: None)
    monkeypatch.setattr(sending, "load", lambda _: parse(PARAMS))
    return said


def ended(server: SyncPrefectClient, state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is waited for end in a state as soon as somebody would look again."""
    waited = sending._wait

    def wait(run: Any, budget: Budget) -> None:
        server.set_flow_run_state(run, state, force=True)
        waited(run, budget)

    monkeypatch.setattr(sending, "_wait", wait)


def runs(server: SyncPrefectClient, asked: Errand) -> list[FlowRun]:
    return server.read_flow_runs(flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[asked.key])))


def sent() -> None:
    send(stage("train"), Budget(), is_forced=False, is_upstream_stale=False)


def test_a_stage_is_sent_with_its_errand_in_the_queue_of_who_sends(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(server, Completed(), monkeypatch)
    monkeypatch.setenv("DOPSD_PRIORITY", "urgent")
    sent()
    (run,) = runs(server, asked)
    assert (run.name, run.work_pool_name, run.work_queue_name) == ("dopsd, train", "gpu", "urgent")
    assert run.parameters == {"errand": asdict(asked)}


@pytest.mark.parametrize(
    ("state", "failure"),
    [
        (Crashed(message="no heart beats"), MayPass),
        (Failed(name=PASSING, message="the network"), MayPass),
        (Failed(message="a mistake"), StageFailed),
    ],
)
def test_how_it_ended_there_decides_whether_it_is_tried_again(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch, state: Any, failure: type[Exception]
) -> None:
    ended(server, state, monkeypatch)
    with pytest.raises(failure, match=state.message) as told:
        sent()
    assert type(told.value) is failure


def test_whoever_asks_for_the_same_meanwhile_waits_for_the_same_run(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending._begun(asked, "dopsd")
    ended(server, Completed(), monkeypatch)
    sent()
    assert len(runs(server, asked)) == 1


def test_a_worker_is_asked_to_end_when_the_budget_does(server: SyncPrefectClient, asked: Errand) -> None:
    with pytest.raises(OutOfTime, match="what was sent was asked to end"):
        send(stage("train"), Budget(0.001), is_forced=False, is_upstream_stale=False)
    (run,) = runs(server, asked)
    assert run.state_name in ("Cancelling", "Cancelled")


def test_what_is_in_the_remote_already_is_not_sent(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending.baggage, "bring_outcome", lambda *_: True)
    sent()
    assert runs(server, asked) == []


def test_a_server_without_the_deployment_is_told(
    server: SyncPrefectClient, asked: Errand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "DEPLOYMENT", "stage/none")
    with pytest.raises(ValueError, match=r"no deployment stage/none: `dopsd up` makes it"):
        sent()
