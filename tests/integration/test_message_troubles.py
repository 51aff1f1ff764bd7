"""Messages and what goes wrong: halts, odd input, workers that die. Nobody else suffers for it."""

import os
import sys
import threading

import pytest

from postroom.client import Postroom
from postroom.model import CampaignId, Lane, Message, Recipient, State
from postroom.store.connection import Store
from tests.support.campaigns import message_ref
from tests.support.fake_carrier import FakeCarrier
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness

PLAIN = Message(subject="Hi", text="Hello {{ name }}")
ANA = Recipient("ana@example.org", {"name": "Ana"})


def worked_off(post: WorkerHarness, message: CampaignId) -> None:
    post.worker.sender.send(message_ref(message), owner="me")


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
