"""What the Prefect server does by itself about the runs of our deployments, as automations that stay the same by name.

keep("dopsd: tell of runs that ended early", trigger({"prefect.flow-run.Failed"}, ...), [SendNotification(...)])
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from prefect.client.orchestration import get_client
from prefect.events.actions import ActionTypes
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

TAG = "prefect.tag.dopsd"
"""What the deployments of prefect.yaml give their runs."""


def trigger(
    expect: Iterable[str], *, after: Iterable[str] = (), posture: Posture = Posture.Reactive, seconds: float = 0.0
) -> EventTrigger:
    """Listen to each of our runs by itself: to one of the events, or, proactive, to none of them in so many seconds."""
    return EventTrigger(
        after=set(after),
        expect=set(expect),
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification({"prefect.resource.id": TAG, "prefect.resource.role": "tag"}),
        for_each={"prefect.resource.id"},
        posture=posture,
        threshold=1,
        within=timedelta(seconds=seconds),
    )


def keep(name: str, description: str | None, heard: EventTrigger, actions: Sequence[ActionTypes]) -> None:
    """Let the server have this automation, or none of the name where it would do nothing."""
    said = AutomationCore(name=name, description=description, trigger=heard, actions=[*actions])
    with get_client(sync_client=True) as server:
        known = server.read_automations_by_name(name)
        for automation in known:
            if actions:
                server.update_automation(automation.id, said)
            else:
                server.delete_automation(automation.id)
        if actions and not known:
            server.create_automation(said)
