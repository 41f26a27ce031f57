"""Train anew without a picture that was taken down: one run of the deployment, on the server that serves this folder.

schedule("5f3a09c1d2e4", "v1")  # "umber-lynx", or None where no server serves it
"""

from pathlib import Path
from typing import Any

from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.asking import ASKED_BY, server
from flows.serving import running
from tasks.triggers.sources.source import Unreachable

DEPLOYMENT = "continual-tuning/continual-tuning"


def schedule(takedown: str, parent: str | None) -> str | None:
    """Have a run made that starts from `parent`; asked again for the same takedown it is the same run.

    The workspace of the run goes by the block-list as it is then, committed or not. Raises Unreachable where the
    server does not answer or does not know the deployment.
    """
    machine = running(Path())
    address = PREFECT_API_URL.value() or (machine.api if machine else None)
    if address is None:
        return None
    said = {ASKED_BY: f"takedown {takedown}"} | ({"parent": parent} if parent else {})
    with temporary_settings({PREFECT_API_URL: address}), server():
        try:
            run: Any = run_deployment(DEPLOYMENT, parameters=said, timeout=0, idempotency_key=f"takedown {takedown}")
        except ObjectNotFound as error:
            raise Unreachable(f"the Prefect server has no deployment {DEPLOYMENT}: `dopsd up` makes it") from error
    return str(run.name)
