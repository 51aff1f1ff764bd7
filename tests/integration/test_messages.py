"""Single messages: past bulk work, once, and in the books like everything else."""

from dataclasses import replace

import pytest

from postroom.client import Postroom
from postroom.clock import utc_in
from postroom.errors import BadInputError, RefusedError
from postroom.model import CampaignId, Lane, Message, Outcome, Recipient, State, Submission
from postroom.outgoing import Outgoing, RawMessage
from postroom.settings import Settings
from postroom.store.budget import Ask, Budget, Grant, Wait, Why
from postroom.store.connection import Store
from tests.support.campaigns import ACCOUNT, message_ref
from tests.support.fake_carrier import FakeCarrier
from tests.support.worker_harness import WorkerHarness

RESET = Message(subject="Reset, {{ name }}", text="Dear {{ name }}, here is your link.")
ANA = Recipient("ana@example.org", {"name": "Ana"})


def worked_off(post: WorkerHarness, message: CampaignId) -> None:
    post.worker.sender.send(message_ref(message), owner="me")


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
    assert message_ref(message).campaign_id in waiting.decode()


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
    segment = message_ref(message).campaign_id
    keys = post.store.keys.campaign(segment)
    post.store.client.hset(keys.campaign, "open", 0)  # An hour goes by.
    assert post.ledger.finish(segment)
    assert 0 < post.store.client.ttl(keys.campaign) <= settings.store.message_retention_seconds
    assert 0 < post.store.client.ttl(keys.marks) <= settings.store.message_retention_seconds
    assert not post.store.client.exists(keys.batches, keys.contents, keys.extents)


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


class TestMany:
    def test_each_has_its_own_answer(self, post: WorkerHarness, client: Postroom) -> None:
        first, again, bad, other, short = client.send_many(
            "news",
            [
                Outgoing(RESET, ANA, "one"),
                Outgoing(RESET, ANA, "one"),
                Outgoing(RESET, "no address"),
                Outgoing(RESET, Recipient("bob@example.org", {"name": "Bob"}), "one"),
                Outgoing(RESET, "bob@example.org"),
            ],
        )
        assert isinstance(first, Submission)
        assert again == Submission(id=first.id, created=False)
        assert isinstance(bad, BadInputError)
        assert isinstance(other, RefusedError)
        assert "the templates name what it lacks: name" in str(short)

    def test_too_many_are_refused_at_once(self, client: Postroom) -> None:
        with pytest.raises(BadInputError, match="1001 messages; at most 1000"):
            client.send_many("news", [Outgoing(RESET, ANA)] * 1_001)

    def test_with_different_words_go_in_one_call(
        self, post: WorkerHarness, client: Postroom, carrier: FakeCarrier
    ) -> None:
        made = [
            one.id
            for one in client.send_many(
                "news",
                [
                    Outgoing(
                        Message(subject=f"Order {n}", text=f"No. {n}", tags={"order": str(n)}),
                        f"user{n}@example.org",
                    )
                    for n in range(10)
                ],
            )
            if isinstance(one, Submission)
        ]
        worked_off(post, made[0])
        assert carrier.calls == [10]
        assert {client.status(one).totals.accepted for one in made} == {1}

    def test_html_and_text_do_not_go_in_one_call(
        self, post: WorkerHarness, client: Postroom, carrier: FakeCarrier
    ) -> None:
        """A carrying template has the same parts for all."""
        kinds = ({"html": "<p>Hi</p>"}, {"text": "Hi"}, {"html": "<p>Ho</p>"}, {"text": "Ho"})
        messages = [Message(subject="Hi", **kind) for kind in kinds]
        made = client.send_many("news", [Outgoing(one, "ana@example.org") for one in messages])
        assert isinstance(made[0], Submission)
        worked_off(post, made[0].id)
        assert carrier.calls == [2, 2]

    def test_one_that_cannot_be_rendered_hinders_no_other(
        self, post: WorkerHarness, client: Postroom, carrier: FakeCarrier
    ) -> None:
        broken = Message(subject="Hi", text="{{ 1 // number }}")
        made = [
            one.id
            for one in client.send_many(
                "news",
                [
                    Outgoing(broken, Recipient("ana@example.org", {"number": 0})),
                    Outgoing(RESET, ANA),
                ],
            )
            if isinstance(one, Submission)
        ]
        worked_off(post, made[0])
        assert carrier.addresses == ["ana@example.org"]
        [row] = client.report(made[0])
        assert (row.outcome, row.reason) == (
            Outcome.REJECTED,
            "text: ZeroDivisionError while rendering",
        )


def test_a_message_whose_time_is_over_is_not_sent(
    post: WorkerHarness, client: Postroom, carrier: FakeCarrier
) -> None:
    late = replace(RESET, not_after=utc_in(-1))
    made = [client.send("news", one, ANA).id for one in (late, RESET)]
    worked_off(post, made[0])
    assert [client.status(one).totals.expired for one in made] == [1, 0]
    assert carrier.addresses == ["ana@example.org"]


def test_what_stays_of_a_message_names_nobody(
    post: WorkerHarness, client: Postroom, store: Store
) -> None:
    message = client.send("news", RESET, ANA).id
    assert [row.email for row in client.report(message)] == ["ana@example.org"]
    worked_off(post, message)
    [row] = client.report(message)
    assert row.email.startswith("#")
    assert client.status(message).finished_at == pytest.approx(store.seconds(), abs=5)
    for name in store.client.scan_iter():
        kept = store.client.dump(name)
        assert b"ana@example.org" not in kept
        assert b"Dear" not in kept


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_a_message_is_not_steered_by_itself(
    post: WorkerHarness, client: Postroom, action: str
) -> None:
    message = client.send("news", RESET, ANA).id
    for one in (message, message_ref(message).campaign_id):
        with pytest.raises(RefusedError, match="pause its account"):
            getattr(client, action)(one)


MIME = (
    b"From: Shop <news@shop.example.com>\r\nTo: all@example.org\r\nBcc: boss@example.org,\r\n"
    b" other@example.org\r\nSubject: {{ 7 * 7 }}\r\nX-Last: 1\r\n\r\nBcc: no header\r\n{{ x }}\r\n"
)


class TestRaw:
    def test_each_recipient_is_a_message_and_gets_the_same_bytes(
        self, post: WorkerHarness, client: Postroom, carrier: FakeCarrier
    ) -> None:
        people = ["ana@example.org", "bob@example.org", "Ana@Example.org"]
        made = client.send_raw(RawMessage(MIME, "news", people), key="one")
        again = client.send_raw(RawMessage(MIME, "news", people), key="one")
        assert [one.created for one in made + again] == [True, True, False, False]
        worked_off(post, made[0].id)
        assert carrier.calls == [1, 1]
        assert sorted(carrier.addresses) == ["Ana@Example.org", "bob@example.org"]
        bare = MIME.replace(b"Bcc: boss@example.org,\r\n other@example.org\r\n", b"")
        assert carrier.raw == {bare}

    def test_without_bcc_not_a_byte_is_changed(
        self, post: WorkerHarness, client: Postroom, carrier: FakeCarrier
    ) -> None:
        mime = b"From: news@shop.example.com\nSubject: Hi\n\nHi\n"
        worked_off(post, client.send_raw(RawMessage(mime, "news", ["ana@example.org"]))[0].id)
        assert carrier.raw == {mime}

    @pytest.mark.parametrize(
        ("mime", "people", "told"),
        [
            (MIME, [], "recipients: 0; a message has 1 to 50"),
            (MIME, ["ana@example.org"] * 51, "recipients: 51; a message has 1 to 50"),
            (MIME, "ana@example.org", "recipients: it is a list"),
            (MIME, ["nobody"], "no @ in the address"),
            (b"Subject: Hi\n\nHi", ["ana@example.org"], "mime: it has no From header"),
            (b"From: news@shop.example.com", ["ana@example.org"], "mime: no empty line"),
            (MIME + b"x" * 10_485_760, ["ana@example.org"], "store.raw_message_bytes allows"),
        ],
    )
    def test_what_ses_would_refuse_is_refused_at_once(
        self, client: Postroom, mime: bytes, people: list[str], told: str
    ) -> None:
        with pytest.raises(BadInputError, match=told):
            client.send_raw(RawMessage(mime, "news", people))

    def test_a_sender_that_nobody_knows_is_refused(self, client: Postroom) -> None:
        with pytest.raises(BadInputError, match="'nws' is unknown; known: news"):
            client.send_raw(RawMessage(MIME, "nws", ["ana@example.org"]))
