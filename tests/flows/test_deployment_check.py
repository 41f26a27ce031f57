"""A wrong prefect.yaml is told with the deployment, the key and the mend; ours is right."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.deployments import check

ROOT = Path(__file__).parents[2]
FLOW = """
from prefect import flow

@flow
def toy(seconds: float = 0) -> None:
    pass
"""


@pytest.fixture
def said() -> dict[str, Any]:
    row = {"name": "toy", "entrypoint": "toy.py:toy", "parameters": {"seconds": 1}, "work_pool": {"name": "gpu"}}
    return {"name": "box", "deployments": [row]}


def told(said: Any, root: Path) -> str:
    (root / "toy.py").write_text(FLOW)
    (root / "prefect.yaml").write_text(yaml.safe_dump(said))
    with pytest.raises(ValueError) as mistake:
        check(root)
    return str(mistake.value)


def test_ours_is_right() -> None:
    check(ROOT)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"paramters": {}}, "prefect.yaml: deployments.toy.paramters is no key; did you mean parameters?"),
        ({"parameters": {"secnds": 1}}, "prefect.yaml: deployments.toy.parameters do not fit toy: "),
        ({"parameters": {"seconds": "long"}}, "seconds: Input should be a valid number"),
        ({"work_pool": {"name": "gpus"}}, "toy.work_pool.name is 'gpus': choose one of cpu, gpu, which"),
        ({"parameters": {"pool": "cuda"}}, "work_pool.name is 'gpu', where a run that sends stages would wait for"),
        ({"work_pool": {"name": "gpu", "work_queue_name": "soon"}}, "work_queue_name is 'soon': choose one of urgent,"),
        ({"work_pool": {"name": "gpu", "queue": "a"}}, "deployments.toy.work_pool.queue is no key; there are name,"),
        ({"concurrency_limit": {"limt": 1}}, "deployments.toy.concurrency_limit.limt is no key; did you mean limit?"),
        ({"schedules": [{"cron": "at three"}]}, "deployments.toy.schedules.cron is 'at three': "),
        ({"schedules": [{"cron": "0 3 * * *", "catchup": 1}]}, "catchup: Extra inputs are not permitted"),
        ({"schedules": [{}]}, "deployments.toy.schedules.cron is None: "),
        ({"entrypoint": "toys.py:toy"}, "deployments.toy.entrypoint is 'toys.py:toy': there is no file toys.py"),
        ({"entrypoint": "toy.py:play"}, "deployments.toy.entrypoint is 'toy.py:play': "),
        ({"triggers": [{"type": "event", "expect": 3}]}, "deployments.toy.triggers."),
    ],
)
def test_a_mistake_in_a_deployment_is_told(
    said: dict[str, Any], tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    said["deployments"][0] |= more
    assert message in told(said, tmp_path)


def test_what_is_no_list_of_deployments_is_told(said: dict[str, Any], tmp_path: Path) -> None:
    assert "deploymnts is no key; did you mean deployments?" in told({"deploymnts": []}, tmp_path)
    assert "it holds no keys: start with `deployments:`" in told(None, tmp_path)
    assert "prefect.yaml: deployments" in told({"deployments": [3]}, tmp_path)
    (tmp_path / "prefect.yaml").write_text("a: [")
    with pytest.raises(ValueError, match=r"prefect.yaml is not YAML"):
        check(tmp_path)
    (tmp_path / "prefect.yaml").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no prefect.yaml in"):
        check(tmp_path)
