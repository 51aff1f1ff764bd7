"""What status, list and doctor say is true, and their commands mend it."""

from typing import Any

import pytest

from postroom.cli.session import Quota
from postroom.client import Postroom
from postroom.clock import utc
from postroom.model import Lane, Message, Outcome, Settled, State, Status
from postroom.remedies import MEND_THE_LIST
from postroom.store import presence
from postroom.store.connection import Store
from postroom.store.presence import About
from tests.support.campaigns import ACCOUNT, PreparedCampaign
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness

SLOTS = {Lane.BULK: 1, Lane.TRANSACTIONAL: 1}


def rewritten(store: Store) -> bool:
    told = store.client.info("persistence")
    return not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]


def going(post: WorkerHarness, recipients: int = 1000, **more: Any) -> PreparedCampaign:
    """A campaign in line, and a worker for it."""
    post.dispatch.announce("w:1", SLOTS)
    made = post.make(recipients, **more)
    post.dispatch.wake(made.route)
    return made


def accepted(made: PreparedCampaign, post: WorkerHarness, number: int, count: int) -> None:
    """Let SES take some of a batch."""
    claim = post.ledger.claim(made.ref(number), owner="me")
    indexes = claim.open()[:count]
    post.ledger.begin(claim, indexes)
    post.ledger.settle(claim, [Settled(index=at, outcome=Outcome.ACCEPTED) for at in indexes])
    post.ledger.leave(claim)


def sampled(made: PreparedCampaign, store: Store, *, since: float, count: int) -> None:
    """Pretend that the first of the last samples was taken so long ago."""
    then = store.seconds() - since
    made.set(sample=f"{then:.3f}|{count} {then:.3f}|{count}", started_at=then - 1000)


class TestRate:
    def test_is_that_of_the_last_seconds_whatever_was_before(
        self, post: WorkerHarness, client: Postroom, store: Store
    ) -> None:
        made = going(post)
        accepted(made, post, 0, 400)
        sampled(made, store, since=10, count=200)
        assert client.status(made.id).achieved_rate == pytest.approx(20, rel=0.1)

    def test_is_kept_by_those_who_settle(self, post: WorkerHarness, store: Store) -> None:
        made = going(post)
        accepted(made, post, 0, 50)
        first = made.field("sample")
        accepted(made, post, 0, 50)
        assert made.field("sample") == first
        sampled(made, store, since=12, count=50)
        kept = made.field("sample").split()[1]
        accepted(made, post, 0, 50)
        assert made.field("sample").split()[0] == kept
        assert made.field("sample").endswith("|150")

    def test_begins_anew_after_a_silence(
        self, post: WorkerHarness, client: Postroom, store: Store
    ) -> None:
        made = going(post)
        accepted(made, post, 0, 50)
        sampled(made, store, since=3600, count=50)
        assert client.status(made.id).achieved_rate == 0.0
        accepted(made, post, 0, 50)
        first, last = made.field("sample").split()
        assert first == last
        assert last.endswith("|100")

    def test_is_never_above_what_was_allowed(
        self, post: WorkerHarness, client: Postroom, store: Store
    ) -> None:
        post.allow(rate=50)
        made = going(post)
        accepted(made, post, 0, 500)
        sampled(made, store, since=9, count=0)
        assert client.status(made.id).achieved_rate == 50

    def test_of_a_moment_is_not_told(self, post: WorkerHarness, client: Postroom) -> None:
        made = going(post, 5)
        accepted(made, post, 0, 3)
        assert client.status(made.id).achieved_rate == 0.0
        accepted(made, post, 0, 2)
        ended = client.status(made.id)
        assert (ended.state, ended.achieved_rate) == (State.FINISHED, 0.0)


class TestReason:
    def test_is_that_no_worker_is_there(self, post: WorkerHarness, client: Postroom) -> None:
        made = going(post)
        assert client.status(made.id).reason == ""
        post.dispatch.retire("w:1")
        status = client.status(made.id)
        assert status.state is State.SENDING
        assert status.reason == "no worker is there: celery -A worker.app worker"
        assert status.eta_seconds is None

    def test_is_that_no_worker_serves_the_account(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        made = going(post)
        post.dispatch.announce("w:1", SLOTS, serving=[])
        assert "can send for account main" in client.status(made.id).reason

    def test_is_that_no_producer_is_there(
        self, post: WorkerHarness, client: Postroom, store: Store
    ) -> None:
        made = post.make(5, split=False)
        assert "no producer is there: celery" in client.status(made.id).reason
        presence.announce_producer(store, "p:1", About())
        assert client.status(made.id).reason == ""


class TestEta:
    def seconds(self, client: Postroom, made: PreparedCampaign) -> float | None:
        status: Status = client.status(made.id)
        return status.eta_seconds

    def test_goes_by_what_is_allowed_until_a_rate_is_known(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        post.allow(rate=50)
        assert self.seconds(client, going(post)) == pytest.approx(20, rel=0.05)

    def test_is_unknown_while_a_person_must_act(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        made = going(post)
        client.pause(made.id)
        assert self.seconds(client, made) is None
        client.resume(made.id)
        client.pause_account(ACCOUNT)
        assert self.seconds(client, made) is None

    def test_knows_when_the_account_goes_on(self, post: WorkerHarness, client: Postroom) -> None:
        post.allow(rate=50)
        made = going(post)
        post.dispatch.hold(ACCOUNT, Lane.BULK, seconds=3600, reason="quota spent")
        assert self.seconds(client, made) == pytest.approx(3620, abs=2)

    def test_knows_when_it_starts(
        self, post: WorkerHarness, client: Postroom, store: Store
    ) -> None:
        post.allow(rate=50)
        made = going(post, send_at=utc(store.seconds() + 600))
        assert self.seconds(client, made) == pytest.approx(620, abs=2)


def test_an_account_has_one_answer_to_when_it_goes_on(post: WorkerHarness) -> None:
    for seconds in (600.0, 30.0):
        post.dispatch.hold(ACCOUNT, Lane.BULK, seconds=seconds, reason=f"for {seconds:g}")
    held = post.dispatch.held(ACCOUNT, Lane.BULK)
    assert held is not None
    assert held[0] == "for 600"


def test_where_no_quota_is_set_nothing_is_said_of_it(post: WorkerHarness, settings: Any) -> None:
    post.allow(rate=50)
    made = going(post)
    quota = Quota(made.id, settings)
    assert quota.left() == ""
    quota.close()
    post.allow(rate=50, quota=1000)
    quota = Quota(made.id, settings)
    assert quota.left() == "1,000 of 1,000 left of the quota"
    quota.close()


class TestDoctor:
    def commands(self, client: Postroom) -> dict[str, str]:
        return {one.where: one.command for one in client.examine()}

    def test_tells_that_no_producer_is_there_and_repairs_nothing(
        self, post: WorkerHarness, client: Postroom, store: Store
    ) -> None:
        made = post.make(5, split=False)
        made.set(split_until="1", sealed_at="1")
        post.dispatch.announce("w:1", SLOTS)
        post.dispatch.wake(made.route)
        assert self.commands(client) == {"producers": "celery -A producers.app worker"}
        assert client.repair() == []
        presence.announce_producer(store, "p:1", About())
        [complaint] = client.examine()
        assert (complaint.what, complaint.command) == (
            "nobody splits it",
            "postroom doctor --repair",
        )

    def test_finds_tasks_that_were_published_without_our_prefix_and_brings_them_home(
        self, client: Postroom, store: Store
    ) -> None:
        store.client.lpush("campaigns", '{"headers": {"task": "postroom.submit"}}')
        assert self.commands(client) == {"broker": "postroom doctor --repair"}
        client.repair()
        assert client.examine() == []
        assert store.client.llen("postroom:celery:campaigns") == 1

    def test_leaves_a_queue_of_others_alone(self, client: Postroom, store: Store) -> None:
        store.client.lpush("campaigns", '{"headers": {"task": "elections.count"}}')
        assert client.examine() == []
        client.repair()
        assert store.client.llen("campaigns") == 1

    def test_says_how_to_keep_a_file(self, client: Postroom, store: Store) -> None:
        store.client.config_set("appendonly", "no")
        try:
            command = self.commands(client)["redis"]
        finally:
            store.client.config_set("appendonly", "yes")
            # Until its file is there, Redis would not end with this run.
            wait_until(lambda: rewritten(store), "the file is written")
        assert command.startswith("redis-cli -u redis://127.0.0.1:")
        assert command.endswith(" config set appendonly yes")

    def test_does_not_advise_to_resume_what_was_refused_as_a_whole(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        made = going(post, 5)
        post.ledger.halt(made.id, f"row 3: no @ in the address; strict: {MEND_THE_LIST}")
        assert self.commands(client) == {f"campaign {made.id}": f"postroom cancel {made.id}"}


def test_a_message_to_somebody_suppressed_ends_at_once(client: Postroom, store: Store) -> None:
    client.suppress("ann@example.org", "asked")
    sent = client.send("news", Message(subject="Hi", text="You"), "ann@example.org")
    assert client.status(sent.id).state is State.FINISHED
    assert store.client.zscore(store.keys.live, sent.id) is None


def test_ps_tells_of_every_process(post: WorkerHarness, client: Postroom, store: Store) -> None:
    post.worker.heartbeat(4).beat()
    presence.announce_producer(store, "here:7", About(slots=2, busy=1, version="1"))
    producer, worker = client.processes()
    assert (producer.kind, producer.name, producer.about.busy) == ("producer", "here:7", 1)
    assert (worker.kind, worker.about.slots, worker.about.busy) == ("worker", 4, 0)
    assert worker.about.settings
    assert worker.about.version
    assert worker.troubles == ()


def test_the_pace_of_an_account_is_no_wait(
    post: WorkerHarness, client: Postroom, store: Store
) -> None:
    made = going(post)
    post.worker.heartbeat(4).beat()
    post.dispatch.hold(ACCOUNT, Lane.BULK, seconds=1.0, reason="the rate")
    assert client.status(made.id).state is State.SENDING
    post.dispatch.hold(ACCOUNT, Lane.BULK, seconds=60.0, reason="the quota")
    assert client.status(made.id).state is State.WAITING
