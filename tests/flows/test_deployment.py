"""prefect.yaml is valid and names a flow that is there, which tells what started it."""

import os
from datetime import timedelta
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowFilter, FlowFilterId
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow

from flows import deployed
from flows.artifacts import leave, progress
from flows.asking import ASKED_BY, EVENT, TRIGGER
from flows.continual_tuning import ended
from flows.errand import PASSING
from flows.heartbeat import watch_hearts
from flows.machine import MLFLOW_PAGE
from flows.provision import make_pools
from flows.summary import Outcome, Status, Summary
from tasks.params import parse
from tasks.planning.selection import Selection
from tasks.versions import lineage
from tests.fake_workspace import PARAMS

ROOT = Path(__file__).parents[2]


def test_prefect_takes_the_file_and_the_flow_takes_its_parameters() -> None:
    said = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    deployment, *_ = said.deployments
    assert deployment.name == "continual-tuning"
    module, _, name = str(deployment.entrypoint).partition(":")
    flow = getattr(import_module(module.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(flow, Flow)
    flow.validate_parameters(deployment.parameters)


def test_the_event_of_a_trigger_starts_the_run_that_it_looks_for() -> None:
    said = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    deployment, *_ = said.deployments
    (trigger,) = deployment.triggers or []
    assert trigger["expect"] == [EVENT]
    assert trigger["match"] == {"prefect.resource.id": f"{TRIGGER}.*"}
    assert trigger["parameters"] == {ASKED_BY: "{{ event.payload.run }}"}
    module, _, name = str(deployment.entrypoint).partition(":")
    flow = getattr(import_module(module.removesuffix(".py").replace("/", ".")), name)
    assert ASKED_BY in signature(flow.fn).parameters


def test_runs_have_their_turn_by_the_queue_that_they_are_in(prefect: str) -> None:
    for _ in range(2):  # `dopsd up` comes again and again
        make_pools()
    with get_client(sync_client=True) as server:
        toy = server.create_deployment(server.create_flow_from_name("toy"), "toy", work_pool_name="gpu")
        for queue in ("background", "default", "normal", "urgent"):
            server.create_flow_run_from_deployment(toy, name=queue, work_queue_name=queue)
        waiting = server.get_scheduled_flow_runs_for_work_pool("gpu")
    assert [row.flow_run.name for row in waiting] == ["urgent", "normal", "default", "background"]


def test_no_schedule_is_active_before_a_person_wants_it() -> None:
    said = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    assert [schedule.active for row in said.deployments for schedule in row.schedules or []] == [False]


def test_a_schedule_that_is_active_brings_runs(prefect: str) -> None:
    nightly = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 3 * * *", timezone="UTC"), active=True)
    with get_client(sync_client=True) as server:
        flow = server.create_flow_from_name("nightly")
        made = server.create_deployment(flow, "nightly", schedules=[nightly])
        server.request("POST", f"/deployments/{made}/schedule", json={}).raise_for_status()  # as the server does itself
        runs = server.read_flow_runs(flow_filter=FlowFilter(id=FlowFilterId(any_=[flow])))
    assert len(runs) > 1
    assert {run.expected_start_time.hour for run in runs if run.expected_start_time} == {3}


def test_the_file_was_written_for_the_pinned_version() -> None:
    said = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    pins = (ROOT / "constraints.txt").read_text().split()
    assert f"prefect=={said['prefect-version']}" in pins


@pytest.mark.parametrize(("asked_by", "said"), [("new-images-0001", "new-images-0001"), ("", "the deployment, run ")])
def test_a_worker_tells_the_stages_what_started_their_run(
    asked_by: str, said: str, prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lineage.TRIGGER, "")
    monkeypatch.delenv(lineage.TRIGGER)
    found: list[str] = []

    def flown(*_: Any, **__: Any) -> Summary:
        found.append(os.environ[lineage.TRIGGER])
        return Summary([Outcome("register", "cached", 0.0)], None, None)

    monkeypatch.setattr(deployed, "load", lambda _: parse(PARAMS))
    monkeypatch.setattr(deployed, "sources", lambda *_: None)
    monkeypatch.setattr(deployed, "flown", flown)
    deployed.deployed(asked_by=asked_by, return_state=True)
    assert found[0].startswith(said)


def test_a_run_leaves_its_progress_its_verdict_and_the_way_to_mlflow(
    prefect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MLFLOW_PAGE, "http://127.0.0.1:5000")
    row = {"mean": 0.5, "low": 0.4, "high": 0.6, "count": 9}
    reasons = [{"outcome": "unsure", "sentence": "5 prompts more"}, {"outcome": "passed", "sentence": "near"}]
    record = {"model": "anime", "version": "v3", "verdict": "HOLD", "mlflow_run_id": "abc", "reasons": reasons}
    with progress(2) as heard:
        heard(Outcome("ingest", "cached", 0.0))
        leave(Summary([], record, {"models": {"base": {"concept/dino_d@x": row}}}))
    with get_client(sync_client=True) as client:
        left = client.read_artifacts()
    assert [one.data for one in left if one.description == "ingest cached"] == [50.0]
    (page,) = (str(one.data) for one in left if one.key == "dopsd-version")
    assert page.startswith(
        "**HOLD** v3\n\n* 5 prompts more\n\n[anime v3](http://127.0.0.1:5000/#/models/anime/versions/3)"
    )
    assert "get-artifact?path=record/grid.png&run_uuid=abc" in page
    assert "| concept/dino_d | 0.500 [0.400, 0.600] |" in page


def test_a_run_that_is_silent_is_ended_and_none_that_ended_by_a_name_of_ours(prefect: str) -> None:
    for _ in range(2):  # `dopsd up` comes again and again
        watch_hearts()
    with get_client(sync_client=True) as server:
        (trigger,) = (row.trigger for row in server.read_automations() if row.name.startswith("dopsd"))
    statuses = get_args(Status)
    names = {PASSING, "Joined", *(ended([Outcome("train", status, 0.0)], Selection()).name for status in statuses)}
    assert {f"prefect.flow-run.{name}" for name in names} <= trigger.expect
    said = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    watched = [row for row in said.deployments if "dopsd" in (row.tags or [])]
    assert [row.name for row in watched] == ["continual-tuning", "stage"], "a shard is begun again by who waits for it"
    for row in watched:
        assert row.work_pool
        beat = int(row.work_pool.job_variables["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        assert timedelta(seconds=4 * beat) < trigger.within
