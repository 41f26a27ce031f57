"""prefect.yaml is valid and names a flow that is there, which tells what started it."""

import os
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.flows import Flow

from flows import deployed
from flows.asking import ASKED_BY, EVENT, TRIGGER
from flows.summary import Outcome, Summary
from tasks.versions import lineage

ROOT = Path(__file__).parents[2]


def test_prefect_takes_the_file_and_the_flow_takes_its_parameters() -> None:
    said = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    (deployment,) = said.deployments
    assert deployment.name == "continual-tuning"
    module, _, name = str(deployment.entrypoint).partition(":")
    flow = getattr(import_module(module.removesuffix(".py").replace("/", ".")), name)
    assert isinstance(flow, Flow)
    flow.validate_parameters(deployment.parameters)


def test_the_event_of_a_trigger_starts_the_run_that_it_looks_for() -> None:
    said = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    (deployment,) = said.deployments
    (trigger,) = deployment.triggers or []
    assert trigger["expect"] == [EVENT]
    assert trigger["match"] == {"prefect.resource.id": f"{TRIGGER}.*"}
    assert trigger["parameters"] == {ASKED_BY: "{{ event.payload.run }}"}
    module, _, name = str(deployment.entrypoint).partition(":")
    flow = getattr(import_module(module.removesuffix(".py").replace("/", ".")), name)
    assert ASKED_BY in signature(flow.fn).parameters


def test_no_schedule_is_active_before_a_person_wants_it() -> None:
    said = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    assert [schedule.active for row in said.deployments for schedule in row.schedules or []] == [False]


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

    monkeypatch.setattr(deployed, "load", lambda _: SimpleNamespace(train=SimpleNamespace(parent="base")))
    monkeypatch.setattr(deployed, "sources", lambda *_: None)
    monkeypatch.setattr(deployed, "flown", flown)
    deployed.deployed(asked_by=asked_by, return_state=True)
    assert found[0].startswith(said)
