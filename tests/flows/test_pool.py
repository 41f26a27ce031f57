"""What a cluster is told is what Prefect, Kubernetes and Slurm take, with the GPUs, the memory and no secret."""

import json
import re
import subprocess
from typing import Any
from uuid import uuid4

import kubernetes_validate
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.utilities.templating import apply_values
from typer.testing import CliRunner

from flows.cli import app

WANTED = ("--gpus", "2", "--gpu-kind", "NVIDIA-A100-80GB", "--cpus", "4", "--memory-gib", "80")


def rendered(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["pool", "render", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def job(template: dict[str, Any], **chosen: Any) -> dict[str, Any]:
    """Fill the template in as a worker of Prefect does: what a deployment chose, or else the defaults."""
    known = template["variables"]["properties"]
    assert chosen.keys() <= known.keys()
    values = {name: row["default"] for name, row in known.items() if "default" in row} | chosen
    own = {"name": "a-run", "command": ["prefect", "flow-run", "execute"], "labels": {"prefect.io/flow-run-id": "1"}}
    filled: dict[str, Any] = apply_values(template["job_configuration"]["job_manifest"], values | own)
    filled["spec"]["template"]["spec"]["containers"][0]["env"] = [  # the worker makes a list of the mapping
        {"name": name, "value": value} for name, value in values["env"].items()
    ]
    return filled


def test_kubernetes_takes_the_job_with_its_gpus_volumes_and_secrets_by_name() -> None:
    filled = job(json.loads(rendered("kubernetes", *WANTED, "--claim", "disk", "--secret", "keys", "--image", "a:1")))
    pod = filled["spec"]["template"]["spec"]
    assert (pod.pop("parallelism"), pod.pop("completions")) == (1, 1)  # which Prefect's worker wants to see there
    kubernetes_validate.validate(filled, "1.32", strict=True)
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"memory": "80Gi", "nvidia.com/gpu": 2}
    assert container["resources"]["requests"] == {"cpu": 4, "memory": "80Gi", "nvidia.com/gpu": 2}
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "disk"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-A100-80GB"}
    assert filled["spec"]["backoffLimit"] == 0


def test_prefect_takes_the_template_and_every_variable_of_it_is_used(prefect: str) -> None:
    template = json.loads(rendered("kubernetes"))
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])
    with get_client(sync_client=True) as server:
        name = f"kubernetes-{uuid4()}"
        made = server.create_work_pool(WorkPoolCreate(name=name, type="kubernetes", base_job_template=template))
    assert made.base_job_template == template


def test_a_deployment_may_choose_otherwise_for_its_runs() -> None:
    filled = job(json.loads(rendered("kubernetes")), gpus=0, memory="8Gi")
    (container,) = filled["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 0}


def test_slurm_is_asked_for_the_same_and_bash_can_read_it() -> None:
    text = rendered("slurm", *WANTED, "--time", "90m")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", text, re.MULTILINE))
    assert asked["gres"] == "gpu:NVIDIA-A100-80GB:2"
    assert (asked["mem"], asked["cpus-per-task"], asked["time"]) == ("80G", "4", "90")
    assert text.startswith("#!/bin/bash\n")
    before, _, after = text.partition("set -euo")
    assert "#SBATCH" in before  # Slurm reads no further than the first command
    assert "#SBATCH" not in after
    assert "$" not in before


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (("--time", "30s"), "--time is '30s': Slurm counts minutes"),
        (("--gpu-kind", "a100\n#SBATCH --uid=0"), "--gpu-kind is "),
    ],
)
def test_what_no_cluster_could_mean_is_refused(said: tuple[str, str], message: str) -> None:
    assert message in rendered("slurm", *said, code=1)
