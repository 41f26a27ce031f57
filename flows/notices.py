"""Who is told of runs that ended early: every block of Prefect's that a person made under the name `dopsd`.

keep_told()            (for the server that PREFECT_API_URL names)

Any notification block will do: Slack, Teams, e-mail by Apprise, a webhook of one's own. Its address stays with the
server; what is sent says which run ended how, why, and what is left to do.
"""

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification

from flows.automation import keep, trigger

BLOCK = "dopsd"
AUTOMATION = "dopsd: tell of runs that ended early"
ENDS = ("Failed", "Crashed", "TimedOut", "Refused", "Deferred")
_SUBJECT = "{{ flow_run.name }}: {{ flow_run.state.name }}"
_BODY = "{{ flow_run.state.message }}\n{{ flow_run|ui_url }}"


def keep_told() -> list[str]:
    """Let one automation send what there is to tell to every such block; gives the kinds of these blocks."""
    blocks = _blocks()
    sendings = [SendNotification(block_document_id=block, subject=_SUBJECT, body=_BODY) for block in blocks]
    keep(AUTOMATION, __doc__, trigger({f"prefect.flow-run.{end}" for end in ENDS}), sendings)
    return sorted(blocks.values())


def _blocks() -> dict[UUID, str]:
    """Find the blocks of that name that can send something; gives the kind of each."""
    with get_client(sync_client=True) as server:
        return {
            row.id: str(row.block_type_name)
            for row in server.read_block_documents(include_secrets=False)
            if row.name == BLOCK and row.block_schema is not None and "notify" in row.block_schema.capabilities
        }
