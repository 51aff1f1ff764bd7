"""Messages and what goes wrong: halts, odd input, workers that die. Nobody else suffers for it."""

import gc
import math
import os
import sys
import threading
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from postroom.client import Postroom
from postroom.errors import (
    BadInputError,
    MaybeSubmittedError,
    RefusedError,
    StoreRefusesError,
    StoreUnavailableError,
)
from postroom.ids import StreamId, TokenPlace, token_of
from postroom.model import (
    CampaignId,
    Lane,
    Message,
    OnAmbiguous,
    Outcome,
    Recipient,
    State,
    Submission,
)
from postroom.outgoing import Outgoing, RawMessage
from postroom.settings import Sender, Settings
from postroom.store.connection import Store
from tests.support.campaigns import message_ref
from tests.support.fake_carrier import FakeCarrier
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness
from worker.raw import RawMailing
from worker.ses.verdict import Fault, Kind

MIME = b"From: news@shop.example.com\r\n\r\nHi"
PLAIN = Message(subject="Hi", text="Hello {{ name }}")
ANA = Recipient("ana@example.org", {"name": "Ana"})


def worked_off(post: WorkerHarness, message: CampaignId) -> None:
    post.worker.sender.send(message_ref(message), owner="me")


ODD = {
    "subject": Message(subject=None, text="b"),  # type: ignore[arg-type]
    "surrogate": Message(subject="\ud800", text="b"),
    "text": Message(subject="a", text=3),  # type: ignore[arg-type]
    "header": Message(subject="a", text="b", headers={"X-A": 3}),  # type: ignore[dict-item]
    "headers": Message(subject="a", text="b", headers=None),  # type: ignore[arg-type]
    "tag": Message(subject="a", text="b", tags={"a": ["b"]}),  # type: ignore[dict-item]
    "keep_blank": Message(subject="a", text="b", keep_blank=None),  # type: ignore[arg-type]
    "not_after": Message(subject="a", text="b", not_after="2030-01-01"),  # type: ignore[arg-type]
    "on_ambiguous": Message(subject="a", text="b", on_ambiguous="no"),  # type: ignore[arg-type]
    "none": None,
}


class TestOddInput:
    @pytest.mark.parametrize("what", ODD)
    def test_of_one_is_told_to_that_one_alone(
        self, post: WorkerHarness, client: Postroom, what: str
    ) -> None:
        """Messages of many tasks go together through `postroom.aio`."""
        odd = Outgoing(ODD[what], "ana@example.org")  # type: ignore[arg-type]
        good = Outgoing(PLAIN, ANA)
        first, bad, last = client.send_many("news", [good, odd, good])
        assert isinstance(bad, BadInputError)
        assert isinstance(first, Submission)
        assert isinstance(last, Submission)

    @pytest.mark.parametrize(
        "recipient", [Recipient(3), Recipient("a@x.example", None), ["a@x.example"], {"name": "x"}]
    )
    def test_recipients_are_told(self, client: Postroom, recipient: Any) -> None:
        with pytest.raises(BadInputError):
            client.send("news", PLAIN, recipient)

    @pytest.mark.parametrize("key", [3, b"key", ""])
    def test_keys_are_told(self, client: Postroom, key: Any) -> None:
        with pytest.raises(BadInputError, match="key: "):
            client.send("news", PLAIN, ANA, key=key)

    def test_a_value_without_end_is_told(self, client: Postroom) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(BadInputError, match="cannot be kept"):
            client.send("news", PLAIN, {"email": "ana@example.org", "name": endless})

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_what_is_no_number_is_lacking_and_not_blank_in_the_mail(
        self, client: Postroom, value: float
    ) -> None:
        with pytest.raises(BadInputError, match="lacks: name"):
            client.send("news", PLAIN, {"email": "ana@example.org", "name": value})

    @pytest.mark.parametrize(
        "more",
        [
            {"mime": "From: a@x.example\n\n"},
            {"recipients": [None]},
            {"recipients": None},
            {"tags": {"a": 3}},
            {"configuration_set": None},
            {"configuration_set": "no such: set"},
            {"not_after": "2030-01-01"},
        ],
    )
    def test_of_a_raw_message_is_told(self, client: Postroom, more: dict[str, Any]) -> None:
        given = {"mime": MIME, "sender": "news", "recipients": ["ana@example.org"], **more}
        with pytest.raises(BadInputError):
            client.send_raw(RawMessage(**given))

    def test_recipients_of_a_raw_message_come_from_any_iterable(self, client: Postroom) -> None:
        people = (f"{name}@example.org" for name in ("ana", "bob"))
        assert len(client.send_raw(RawMessage(MIME, "news", people))) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mime", "goes"),
    [
        (b"From: a\r\nBcc: b\r\n\r\nBcc: \xff", b"From: a\r\n\r\nBcc: \xff"),
        (b"From: a\nbCC: b\n\nhi", b"From: a\n\nhi"),
        (b"From: a\r\nBCC:\r\n b\r\n\tc\r\nX: 1\n\r\n", b"From: a\r\nX: 1\n\r\n"),
        (b"Bcc : b\r\nFrom: a\r\n\r\n", b"From: a\r\n\r\n"),
    ],
)
def test_a_bcc_is_taken_off_and_nothing_else(
    post: WorkerHarness, client: Postroom, carrier: FakeCarrier, mime: bytes, goes: bytes
) -> None:
    worked_off(post, client.send_raw(RawMessage(mime, "news", ["ana@example.org"]))[0].id)
    assert carrier.raw == {goes}


def test_a_bcc_behind_a_bare_cr_is_refused(client: Postroom) -> None:
    with pytest.raises(BadInputError, match="CR without LF"):
        client.send_raw(RawMessage(b"From: a\rBcc: b\r\n\r\n", "news", ["ana@example.org"]))


def test_once_some_are_taken_in_it_is_not_told_that_none_are(
    post: WorkerHarness, client: Postroom
) -> None:
    again = replace(PLAIN, on_ambiguous=OnAmbiguous.RESEND)
    sender = client._parts.messages
    find, calls = sender._suppression.find, []

    def away_the_second_time(addresses: Any) -> Any:
        calls.append(addresses)
        if len(calls) == 2:
            raise StoreUnavailableError("Redis does not answer")
        return find(addresses)

    sender._suppression.find = away_the_second_time  # type: ignore[method-assign]
    first, second = client.send_many("news", [Outgoing(PLAIN, ANA), Outgoing(again, ANA)])
    assert isinstance(first, Submission)
    assert isinstance(second, StoreUnavailableError)


class TestHalted:
    @pytest.mark.parametrize("by_message", [True, False])
    def test_segment_goes_on_when_a_person_resumes_it(
        self, post: WorkerHarness, client: Postroom, carrier: FakeCarrier, by_message: bool
    ) -> None:
        message = client.send("news", PLAIN, ANA).id
        segment = message_ref(message).campaign_id
        post.ledger.halt(segment, "SES refuses the From address")
        assert client.status(message).state is State.HALTED
        client.resume(message if by_message else segment)
        worked_off(post, message)
        assert carrier.addresses == ["ana@example.org"]

    def test_segment_is_told_by_doctor_with_what_to_type(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        post.dispatch.announce("w", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
        message = client.send("news", PLAIN, ANA).id
        segment = message_ref(message).campaign_id
        post.ledger.halt(segment, "SES refuses the From address")
        [complaint] = client.examine()
        assert complaint.command == f"postroom resume {segment}"


def test_nothing_is_wrong_with_a_segment_that_waits_for_more(
    post: WorkerHarness, client: Postroom, store: Store
) -> None:
    post.dispatch.announce("w", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
    message = client.send("news", PLAIN, ANA).id
    worked_off(post, message)
    assert client.examine() == []
    record = store.keys.campaign(message_ref(message).campaign_id).campaign
    store.client.hset(record, "open", 1)
    assert [one.what for one in client.examine()] == ["its end was not written down"]


def test_a_forked_child_sends_though_a_thread_was_sending_when_it_was_forked(
    post: WorkerHarness, client: Postroom, store: Store
) -> None:
    """As a server forks its workers from a process that has its application already."""
    client.send("news", PLAIN, ANA)
    sender = client._parts.messages
    going = sender._gatherings(sender._stream("news", PLAIN.on_ambiguous), os.getpid())
    store.client.client_pause(1_000)
    sending = threading.Thread(target=client.send, args=("news", PLAIN, ANA))
    sending.start()
    wait_until(lambda: going._going, "the thread leads")
    if (child := os.fork()) == 0:
        _send_and_exit(client)
    _, status = os.waitpid(child, 0)
    sending.join(10)
    assert os.waitstatus_to_exitcode(status) == 0


def _send_and_exit(client: Postroom) -> None:
    late = threading.Timer(10, os._exit, args=(9,))
    late.daemon = True
    late.start()
    try:
        client.send("news", PLAIN, ANA)
    finally:
        os._exit(8 if sys.exc_info()[0] else 0)


class TestRefusedBySes:
    """What a service hands in must not halt the mails of all who share its sender."""

    def refused(
        self,
        post: WorkerHarness,
        client: Postroom,
        carrier: FakeCarrier,
        fault: Fault,
        mime: bytes | None = None,
        **more: str,
    ) -> State:
        carrier.refuse("bad@example.org", Kind.STOP_CAMPAIGN, "because", times=2, fault=fault)
        if mime:
            bad = client.send_raw(RawMessage(mime, "news", ["bad@example.org"], **more))[0].id  # type: ignore[arg-type]
        else:
            bad = client.send("news", PLAIN, {"email": "bad@example.org", "name": "B"}).id
        client.send("news", PLAIN, ANA)
        worked_off(post, bad)
        [row] = client.report(bad)
        if row.outcome is Outcome.REJECTED:
            assert (row.reason, carrier.addresses) == ("because", ["ana@example.org"])
        return client.status(bad).state

    @pytest.mark.parametrize(
        ("mime", "more", "fault"),
        [
            (b"From: X <other@example.com>\n\nhi", {}, Fault.UNKNOWN),
            (MIME, {"configuration_set": "mine"}, Fault.UNKNOWN),
            (MIME, {}, Fault.CALL),
            (MIME, {}, Fault.CONTENT),
            (None, {}, Fault.CONTENT),
        ],
    )
    def test_for_what_is_its_own_is_rejected_by_itself(
        self,
        post: WorkerHarness,
        client: Postroom,
        carrier: FakeCarrier,
        mime: bytes | None,
        more: dict[str, str],
        fault: Fault,
    ) -> None:
        assert self.refused(post, client, carrier, fault, mime, **more) is State.FINISHED

    @pytest.mark.parametrize(
        ("mime", "fault"), [(MIME, Fault.UNKNOWN), (None, Fault.UNKNOWN), (None, Fault.CALL)]
    )
    def test_for_what_is_the_senders_waits_for_a_person(
        self,
        post: WorkerHarness,
        client: Postroom,
        carrier: FakeCarrier,
        mime: bytes | None,
        fault: Fault,
    ) -> None:
        assert self.refused(post, client, carrier, fault, mime) is State.HALTED


class TestTexts:
    def test_one_that_cannot_be_read_costs_its_own_messages_only(
        self, post: WorkerHarness, client: Postroom, carrier: FakeCarrier, store: Store
    ) -> None:
        bad = client.send("news", Message(subject="a", text="b"), "bad@example.org").id
        key = store.keys.campaign(message_ref(bad).campaign_id).contents
        [text] = [one for one in store.client.hkeys(key) if not one.endswith(b"#")]
        store.client.hset(key, text, b"no text")
        client.send("news", PLAIN, ANA)
        worked_off(post, bad)
        [row] = client.report(bad)
        assert (row.outcome, row.reason) == (Outcome.REJECTED, "its text cannot be read")
        assert carrier.addresses == ["ana@example.org"]

    def test_one_that_was_gone_is_read_again_for_the_next_message(
        self, post: WorkerHarness, client: Postroom, carrier: FakeCarrier, store: Store
    ) -> None:
        """A worker whose lease lapsed comes too late, when others have sent the last with it."""
        first = client.send("news", PLAIN, {"email": "bob@example.org", "name": "Bob"}).id
        ref = message_ref(first)
        claim = post.ledger.claim(ref, owner="me")
        key = store.keys.campaign(ref.campaign_id).contents
        there = store.client.hgetall(key)
        store.client.delete(key)
        post.worker.cache(ref.campaign_id).decode(claim)
        store.client.hset(key, mapping=there)
        post.ledger.leave(claim)
        worked_off(post, first)
        assert carrier.addresses == ["bob@example.org"]

    def test_whole_mails_are_not_kept_once_they_are_sent(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        """A thousand of ten megabytes would be all that a worker has."""
        mime = MIME + os.urandom(100_000)
        made = client.send_raw(RawMessage(mime, "news", ["ana@example.org"]))[0].id
        worked_off(post, made)
        gc.collect()
        kept = [one for one in gc.get_objects() if isinstance(one, RawMailing)]
        assert [one for one in kept if one.mime == mime] == []


def test_a_retry_of_messages_is_refused_for_nobody_knows_whom_to_mail(
    post: WorkerHarness, client: Postroom, carrier: FakeCarrier
) -> None:
    carrier.refuse("ana@example.org", Kind.REJECTED, "because")
    message = client.send("news", PLAIN, ANA).id
    worked_off(post, message)
    for one in (message, message_ref(message).campaign_id):
        with pytest.raises(RefusedError, match="hand it in again"):
            client.retriable(one)
        with pytest.raises(RefusedError, match="hand it in again"):
            client.retry(one, rejected="")


def test_a_message_leads_to_the_books_it_stands_in(post: WorkerHarness, client: Postroom) -> None:
    message = client.send("news", PLAIN, ANA, key="one").id
    segment = message_ref(message).campaign_id
    token = TokenPlace(StreamId(segment.partition("-")[0]), token_of("one")).message
    post.ledger.halt(segment, "because")
    for one in (message, token, segment):
        assert [entry.event for entry in client.log(one)] == ["halted"]
    client.resume(token)
    assert client.status(token).state is State.SENDING


def test_fields_in_another_order_are_the_same_message(
    post: WorkerHarness, client: Postroom
) -> None:
    message = Message(subject="{{ a }}", text="{{ b }}", tags={"x": "1", "y": "2"})
    again = replace(message, tags={"y": "2", "x": "1"})
    one = {"email": "ana@example.org", "a": {"c": 1, "d": 2}, "b": 2}
    other = {"b": 2, "email": "ana@example.org", "a": {"d": 2, "c": 1}}
    first = client.send("news", message, one, key="one")
    assert client.send("news", again, other, key="one").id == first.id


def test_a_segment_that_is_bound_anew_takes_no_more_by_the_old_meaning(
    post: WorkerHarness, client: Postroom, settings: Settings, carrier: FakeCarrier
) -> None:
    other = Sender(account="main", from_="Other <other@shop.example.com>")
    with Postroom(settings=msgspec.structs.replace(settings, senders={"news": other})) as old:
        first = old.send("news", PLAIN, ANA).id
        client.rebind(first)
        second = old.send("news", PLAIN, ANA).id
        for one in (first, second):
            worked_off(post, one)
        assert client.status(first).state is State.FINISHED
        assert client.status(second).state is State.SENDING
    assert carrier.addresses == ["ana@example.org"]


def test_a_refusal_after_a_broken_try_leaves_it_in_doubt(
    post: WorkerHarness, client: Postroom
) -> None:
    """Redis may have taken it in at the first try, and be read-only or full since."""
    streams = client._parts.messages._streams
    faults: list[Exception] = [StoreUnavailableError("away"), StoreRefusesError("read-only")]

    def refuse(*_: Any, **__: Any) -> Any:
        raise faults.pop(0)

    streams.append = refuse  # type: ignore[method-assign]
    with pytest.raises(MaybeSubmittedError):
        client.send("news", PLAIN, ANA)
    faults.append(StoreRefusesError("read-only"))
    with pytest.raises(StoreRefusesError):
        client.send("news", PLAIN, ANA)


def test_an_address_that_was_suppressed_goes_with_the_end_of_its_segment(
    post: WorkerHarness, client: Postroom, store: Store
) -> None:
    """Nobody need ever claim its batch: it has nothing to send."""
    client.suppress("ana@example.org", "complaint")
    segment = message_ref(client.send("news", PLAIN, ANA).id).campaign_id
    keys = store.keys.campaign(segment)
    store.client.hset(keys.campaign, "open", 1)
    assert post.ledger.finish(segment)
    assert not store.client.exists(keys.batches, keys.contents, keys.extents)
