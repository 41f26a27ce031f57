"""A block of the name `dopsd` is told of runs that end early, with what Prefect knows of them; no other is."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client

from flows.continual_tuning import ended
from flows.notices import AUTOMATION, BLOCK, keep_told
from flows.summary import Outcome
from tasks.planning.selection import Selection


@pytest.fixture
def block(prefect: str) -> Iterator[Block]:
    made = CustomWebhookNotificationBlock(name="pager", url="http://127.0.0.1:9/tell", json_data={"text": "{{body}}"})
    made.save(BLOCK)
    yield made
    CustomWebhookNotificationBlock.delete(BLOCK)


def test_one_automation_tells_all_such_blocks_however_often_it_is_made(block: Block) -> None:
    other = f"{BLOCK}-{uuid4()}"
    CustomWebhookNotificationBlock(name="other", url="http://127.0.0.1:9/other").save(other)
    Secret(value="no notification").save(BLOCK)
    try:
        assert [keep_told(), keep_told()] == [["Custom Webhook"]] * 2
        with get_client(sync_client=True) as server:
            (made,) = server.read_automations_by_name(AUTOMATION)
        assert [str(action.block_document_id) for action in made.actions] == [str(block._block_document_id)]
    finally:
        CustomWebhookNotificationBlock.delete(other)
        Secret.delete(BLOCK)


def test_where_the_block_is_gone_nobody_is_told(prefect: str, block: Block) -> None:
    keep_told()
    CustomWebhookNotificationBlock.delete(BLOCK)
    assert keep_told() == []
    with get_client(sync_client=True) as server:
        assert server.read_automations_by_name(AUTOMATION) == []
    block.save(BLOCK)


@pytest.mark.parametrize("status", ["failed", "refused", "deferred"])
def test_a_run_that_ends_early_says_what_is_left_to_do(status: str) -> None:
    last = Outcome("probe", status, 1.0, reason="ValueError: no")  # type: ignore[arg-type]
    state = ended([Outcome("embed", "ran", 1.0), last], Selection(until="evaluate"))
    assert str(state.message).endswith("left to do: probe, train, evaluate; the next run goes on there")
    assert ("ValueError: no" in str(state.message)) == (status == "failed")
