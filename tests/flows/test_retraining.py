"""After a takedown one run of the deployment is due, however often the takedown is asked for."""

from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.asking import ASKED_BY
from flows.provision import make_pools
from flows.retraining import schedule
from tasks.triggers.sources.source import Unreachable


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which nothing runs."""
    monkeypatch.chdir(tmp_path)


def test_a_takedown_has_one_run_made_from_the_clean_ancestor(prefect: str) -> None:
    with temporary_settings({PREFECT_API_URL: prefect}), get_client(sync_client=True) as server:
        name = uuid4().hex
        with pytest.raises(Unreachable, match="has no deployment continual-tuning/continual-tuning: `dopsd up`"):
            schedule(name, None)
        make_pools()
        flow = server.create_flow_from_name("continual-tuning")
        deployment = server.create_deployment(flow, "continual-tuning", work_pool_name="gpu")
        assert schedule(name, "v1") == schedule(name, "v1")
        only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        (run,) = server.read_flow_runs(deployment_filter=only)
        assert run.parameters == {ASKED_BY: f"takedown {name}", "parent": "v1"}
        server.delete_deployment(deployment)


def test_without_a_server_nothing_is_scheduled_and_one_that_is_away_is_told() -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert schedule("a", "v1") is None
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(Unreachable, match="does not answer"),
    ):
        schedule("a", "v1")
