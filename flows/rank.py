"""Whose turn it is first: the queue that a run came by in Prefect says so for the GPUs of its host, too.

keep_rank()            (in a flow, before it asks for a device)
"""

import os

from prefect.context import FlowRunContext

from flows.machine import QUEUES
from tasks.devices.job import PRIORITY


def keep_rank() -> None:
    """Let this run go before others on the GPUs of its host, too, as the queue that it came by does in Prefect."""
    context = FlowRunContext.get()
    queue = context.flow_run.work_queue_name if context and context.flow_run else None
    if queue is not None and queue in QUEUES:
        os.environ.setdefault(PRIORITY, queue)
