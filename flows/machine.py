"""What one machine runs: a Prefect server, an MLflow server, a worker for the pool `cpu`, one a GPU for the pool `gpu`.

    Machine(prefect_port=4200, mlflow_port=5000, gpus=1).servers(Path())

All of it listens on this machine alone. The servers use what `dopsd run` uses without them: Prefect's own database, the
mlflow.db and mlruns of this folder, or what the settings in flows/storage.py name.
"""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.service import Service
from tasks.devices.place import Priority
from tasks.environment import MLFLOW_STORE

MLFLOW_PAGE = "DOPSD_MLFLOW_PAGE"
"""Tells workers where people look at MLflow, such as http://127.0.0.1:5000."""

HOST = "127.0.0.1"
POOLS = ("cpu", "gpu")
CLUSTER_POOL = "kubernetes"
"""A pool that a person makes, and that a worker in a cluster serves."""
QUEUES: Mapping[Priority, int] = {"urgent": 1, "normal": 2, "background": 4}
"""The queues of each pool, and when each has its turn; Prefect's own, "default", is third then."""
_CPU_RUNS = 2


@dataclass(frozen=True)
class Machine:
    """The ports of the two servers, and how many GPUs have a worker of their own."""

    prefect_port: int
    mlflow_port: int
    gpus: int

    @property
    def prefect(self) -> str:
        """The page of the Prefect server."""
        return f"http://{HOST}:{self.prefect_port}"

    @property
    def api(self) -> str:
        """What PREFECT_API_URL must say to use that server."""
        return f"{self.prefect}/api"

    @property
    def mlflow(self) -> str:
        """The page of the MLflow server."""
        return f"http://{HOST}:{self.mlflow_port}"

    def servers(self, root: Path) -> tuple[Service, ...]:
        """List what must answer before the workers start."""
        bound = ("--host", HOST, "--port")
        store = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{root.resolve() / MLFLOW_STORE}")
        leases = "prefect.server.concurrency.lease_storage.filesystem"  # in memory, a restart would keep slots taken
        return (
            Service(
                "prefect",
                ("prefect", "server", "start", *bound, str(self.prefect_port)),
                {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": leases, "PREFECT_API_URL": self.api},
                f"{self.api}/health",
            ),
            Service(
                "mlflow",
                ("mlflow", "server", *bound, str(self.mlflow_port), "--workers", "1"),
                {
                    "MLFLOW_BACKEND_STORE_URI": store,  # a password in it would show in a list of processes
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # three processes that do nothing here
                },
                f"{self.mlflow}/health",
            ),
        )

    def workers(self) -> tuple[Service, ...]:
        """List the workers; there is one a GPU, and which one a run computes on is leased to each stage in its turn.

        An urgent run has a worker of its own: behind those that are at work it could ask none of them to give way.
        """
        gpus = [self._worker("gpu", str(number), 1) for number in range(self.gpus)]
        if gpus:
            gpus.append(self._worker("gpu", "urgent", 1, "--work-queue", "urgent"))
        return (self._worker("cpu", "0", _CPU_RUNS), *(gpus or [self._worker("gpu", "none", 1)]))

    def _worker(self, pool: str, name: str, limit: int, *more: str) -> Service:
        return Service(
            f"worker-{pool}-{name}",
            (
                "prefect", "worker", "start", "--type", "process", "--pool", pool, "--limit", str(limit),
                "--name", worker_name(pool, name), *more,
            ),
            {"PREFECT_API_URL": self.api, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", MLFLOW_PAGE: self.mlflow},
        )  # fmt: skip


def worker_name(pool: str, name: str) -> str:
    """Name a worker so that Prefect's page says where it runs."""
    return f"{platform.node()}-{pool}-{name}"
