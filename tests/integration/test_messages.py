"""Single messages: past bulk work, once, and in the books like everything else."""

import pytest

from postroom.client import Postroom
from postroom.errors import BadInputError, RefusedError
from postroom.model import BatchRef, CampaignId, Lane, Message, Recipient, State
from postroom.settings import Settings
from postroom.store.budget import Ask, Budget, Grant, Wait, Why
from postroom.store.connection import Store
from tests.support.campaigns import ACCOUNT
from tests.support.fake_carrier import FakeCarrier
from tests.support.worker_harness import WorkerHarness

RESET = Message(subject="Reset, {{ name }}", text="Dear {{ name }}, here is your link.")
ANA = Recipient("ana@example.org", {"name": "Ana"})


def worked_off(post: WorkerHarness, message: CampaignId) -> None:
    post.worker.sender.send(BatchRef(campaign_id=message, number=0), owner="me")


def test_a_message_is_sent_and_told_by_its_id(
    post: WorkerHarness, client: Postroom, carrier: FakeCarrier
) -> None:
    message = client.send("news", RESET, ANA).id
    worked_off(post, message)
    status = client.status(message)
    assert (status.state, status.totals.accepted) == (State.FINISHED, 1)
    assert carrier.addresses == ["ana@example.org"]


def test_a_message_goes_to_the_workers_at_once_on_its_own_lane(
    post: WorkerHarness, client: Postroom, store: Store
) -> None:
    post.dispatch.announce("w", {Lane.BULK: 1, Lane.TRANSACTIONAL: 2})
    post.dispatch.wake(post.make(5_000, batch_size=10).route)
    message = client.send("news", RESET, ANA).id
    queue = f"{store.keys.prefix}celery:transactional"
    [waiting] = store.client.lrange(queue, 0, -1)
    assert message in waiting.decode()


def test_the_same_key_sends_once(
    post: WorkerHarness, client: Postroom, carrier: FakeCarrier
) -> None:
    first = client.send("news", RESET, ANA, key="reset-4711")
    again = client.send("news", RESET, ANA, key="reset-4711")
    worked_off(post, first.id)
    worked_off(post, again.id)
    assert (again.id, again.created) == (first.id, False)
    assert len(carrier.addresses) == 1


def test_a_key_of_another_message_is_refused(client: Postroom) -> None:
    client.send("news", RESET, ANA, key="reset-4711")
    with pytest.raises(RefusedError, match="another message"):
        client.send("news", RESET, Recipient("bob@example.org", {"name": "Bob"}), key="reset-4711")


def test_a_mapping_names_a_recipient_too(
    post: WorkerHarness, client: Postroom, carrier: FakeCarrier
) -> None:
    worked_off(post, client.send("news", RESET, {"email": "ana@example.org", "name": "Ana"}).id)
    assert carrier.addresses == ["ana@example.org"]


def test_a_suppressed_address_gets_no_message(
    post: WorkerHarness, client: Postroom, carrier: FakeCarrier
) -> None:
    client.suppress("ana@example.org", "complaint")
    message = client.send("news", RESET, Recipient(" ANA@example.org", {"name": "Ana"})).id
    worked_off(post, message)
    assert client.status(message).totals.suppressed == 1
    assert carrier.addresses == []


@pytest.mark.parametrize(
    ("sender", "recipient", "told"),
    [
        ("nobody", ANA, "sender"),
        ("news", Recipient("ana@", {"name": "Ana"}), "domain"),
        ("news", Recipient("ana@example.org"), "name"),
    ],
)
def test_bad_input_is_told_at_once_and_leaves_nothing(
    client: Postroom, store: Store, sender: str, recipient: Recipient, told: str
) -> None:
    with pytest.raises(BadInputError, match=told):
        client.send(sender, RESET, recipient)
    assert store.client.keys(f"{store.keys.prefix}*campaign") == []


def test_messages_are_not_listed_with_the_campaigns(client: Postroom) -> None:
    client.send("news", RESET, ANA)
    assert client.list() == []


def test_the_records_of_a_message_go_soon(
    post: WorkerHarness, client: Postroom, settings: Settings
) -> None:
    message = client.send("news", RESET, ANA).id
    worked_off(post, message)
    keys = post.store.keys.campaign(message)
    assert 0 < post.store.client.ttl(keys.campaign) <= settings.store.message_retention_seconds
    assert 0 < post.store.client.ttl(keys.batches) <= settings.store.message_retention_seconds


def take(budget: Budget, lane: Lane, wanted: int) -> Grant | Wait:
    ask = Ask(
        waiter=f"{lane}",
        wanted=wanted,
        lane=lane,
        bulk_request=False,
        campaign_id=CampaignId("c1"),
        weight=1.0,
    )
    return budget.take(ACCOUNT, ask, max_wait_seconds=1)


def test_bulk_leaves_a_part_of_the_quota_once_messages_were_asked_for(post: WorkerHarness) -> None:
    post.allow(quota=100.0, reserved_share=0.1)
    assert isinstance(take(post.budget, Lane.TRANSACTIONAL, 1), Grant)
    assert isinstance(take(post.budget, Lane.BULK, 89), Grant)
    refused = take(post.budget, Lane.BULK, 1)
    assert isinstance(refused, Wait)
    assert refused.why is Why.QUOTA
    assert isinstance(take(post.budget, Lane.TRANSACTIONAL, 10), Grant)


def test_bulk_may_use_all_of_the_quota_while_nobody_sends_messages(post: WorkerHarness) -> None:
    post.allow(quota=100.0, reserved_share=0.1)
    granted = take(post.budget, Lane.BULK, 100)
    assert isinstance(granted, Grant)
    assert granted.recipients == 100
