"""Who is told of runs that ended early: every block of Prefect's that a person made under the name `dopsd`.

keep_told()            (for the server that PREFECT_API_URL names)

Any notification block will do: Slack, Teams, e-mail by Apprise, a webhook of one's own. Its address stays with the
server; what is sent says which run ended how, why, and what is left to do.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

BLOCK = "dopsd"
TAG = "prefect.tag.dopsd"
"""What the deployments of prefect.yaml give their runs."""
AUTOMATION = "dopsd: tell of runs that ended early"
ENDS = ("Failed", "Crashed", "TimedOut", "Refused", "Deferred")
_SUBJECT = "{{ flow_run.name }}: {{ flow_run.state.name }}"
_BODY = "{{ flow_run.state.message }}\n{{ flow_run|ui_url }}"


def keep_told() -> list[str]:
    """Let one automation send what there is to tell to every such block; gives the kinds of these blocks."""
    with get_client(sync_client=True) as server:
        blocks = _blocks(server)
        said = _automation(
            [SendNotification(block_document_id=block, subject=_SUBJECT, body=_BODY) for block in blocks]
        )
        known = server.read_automations_by_name(AUTOMATION)
        for automation in known:
            if blocks:
                server.update_automation(automation.id, said)
            else:
                server.delete_automation(automation.id)
        if blocks and not known:
            server.create_automation(said)
    return sorted(blocks.values())


def _blocks(server: SyncPrefectClient) -> dict[UUID, str]:
    """Find the blocks of that name that can send something; gives the kind of each."""
    return {
        row.id: str(row.block_type_name)
        for row in server.read_block_documents(include_secrets=False)
        if row.name == BLOCK and row.block_schema is not None and "notify" in row.block_schema.capabilities
    }


def _automation(actions: Sequence[SendNotification]) -> AutomationCore:
    """Listen to what becomes of the runs of our deployments, which bear the tag `dopsd`."""
    trigger = EventTrigger(
        posture=Posture.Reactive,
        expect={f"prefect.flow-run.{end}" for end in ENDS},
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification({"prefect.resource.id": TAG, "prefect.resource.role": "tag"}),
        for_each={"prefect.resource.id"},
        threshold=1,
        within=timedelta(0),
    )
    return AutomationCore(name=AUTOMATION, description=__doc__, trigger=trigger, actions=[*actions])
