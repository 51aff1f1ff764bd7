"""The sender on real Redis: whatever SES answers, the books balance and nobody is forgotten."""

import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from postroom.client import Postroom
from postroom.dispatch.release import release
from postroom.model import BatchRef, CampaignId, Lane, OnAmbiguous, Outcome, Recipient, SenderName
from postroom.settings import Settings
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from postroom.store.report import Reports
from postroom.wire import encode_recipients
from tests.support.campaigns import ACCOUNT, PreparedCampaign, people
from tests.support.fake_carrier import FakeCarrier
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness, quick
from worker.bulk import BulkEntry
from worker.render import Mailing
from worker.ses.departure import Gate, always_open
from worker.ses.verdict import Kind, Verdict

MakePost = Callable[..., WorkerHarness]


@pytest.fixture
def posts(store: Store, settings: Settings) -> Iterator[MakePost]:
    made: list[WorkerHarness] = []

    def make(
        carrier: FakeCarrier | None = None,
        *,
        mode: str = "auto",
        cap_seconds: float = 0.01,
        **worker: object,
    ) -> WorkerHarness:
        own = quick(settings, **worker)
        retry = msgspec.structs.replace(own.retry, cap_seconds=cap_seconds)
        own = msgspec.structs.replace(own, retry=retry)
        post = WorkerHarness(store, own, carrier or FakeCarrier(), mode=mode)
        made.append(post)
        return post

    yield make
    for post in made:
        post.close()


@pytest.fixture
def post(posts: MakePost) -> WorkerHarness:
    """A worker whose account may send as fast as it likes."""
    one = posts()
    one.allow()
    return one


def resume(made: PreparedCampaign, settings: Settings) -> None:
    Campaigns(made.store, settings.store).resume(made.id)


def announce(post: WorkerHarness, worker: str, *, ails: bool) -> None:
    """Let a worker be there, with the troubles of this one or with none."""
    troubles = post.worker.fitness.troubles() if ails else []
    post.dispatch.announce(worker, {Lane.BULK: 1}, accounts=[ACCOUNT], troubles=troubles)


class TestBatch:
    def test_everybody_gets_one_mail(self, post: WorkerHarness) -> None:
        made = post.make(120, batch_size=60)
        assert [post.work_off(made, number).recipients for number in made.numbers] == [60, 60]
        assert sorted(post.carrier.addresses) == sorted(made.addresses)
        assert post.carrier.calls == [50, 10, 50, 10]
        assert made.check_books().accepted == 120
        assert made.field("finished_at")
        assert post.used == 120

    def test_a_task_delivered_twice_sends_once(self, post: WorkerHarness) -> None:
        made = post.make(10)
        post.work_off(made)
        assert post.work_off(made, owner="again").recipients == 0
        assert len(post.carrier.sent) == 10

    def test_a_task_delivered_twice_at_once_sends_once(self, post: WorkerHarness) -> None:
        made = post.make(500)
        with ThreadPoolExecutor(8) as workers:
            sent = list(workers.map(lambda n: post.work_off(made, owner=f"run {n}"), range(8)))
        assert sum(one.recipients for one in sent) == 500
        assert Counter(post.carrier.addresses) == Counter(made.addresses)
        assert made.check_books().accepted == 500

    def test_of_an_unknown_sender_is_handed_on_and_halts_once_no_worker_knows_it(
        self, posts: MakePost
    ) -> None:
        post = posts(unfit_seconds=0.0)
        post.allow()
        made = post.make(3, sender=SenderName("nobody"))
        announce(post, "newer:1", ails=False)
        assert post.work_off(made).handed_on
        assert made.field("halted") == ""
        assert (made.due() or 0) <= made.store.seconds()
        assert post.ledger.claim(made.ref(), owner="next").parks == 0
        made.lapse()
        post.dispatch.retire("newer:1")
        announce(post, "here:1", ails=True)
        assert post.work_off(made, owner="again").handed_on
        assert made.field("halted").startswith("on every worker: the worker's settings know no")
        assert made.check_books().pending == 3

    def test_that_this_host_cannot_send_is_handed_on_to_others(self, posts: MakePost) -> None:
        unwell, well = posts(), posts()
        well.allow()
        made = unwell.make(60)
        unwell.carrier.end_next_call(Kind.STOP_WORKER, "no usable AWS credentials")
        assert unwell.work_off(made).handed_on
        assert unwell.work_off(made, owner="again").handed_on
        assert unwell.carrier.calls == [50]
        assert made.check_books().pending == 60
        assert (made.field("halted"), unwell.budget.status(ACCOUNT).halted) == ("", "")
        assert well.work_off(made, owner="well").recipients == 60
        assert made.check_books().accepted == 60

    def test_of_a_newer_format_is_left_to_a_newer_worker(
        self, post: WorkerHarness, store: Store
    ) -> None:
        made = post.make(2)
        newer = encode_recipients(people(2))
        raw = zlib.decompress(newer).replace(b'"v":1', b'"v":2')
        store.client.hset(store.keys.campaign(made.id).batches, "0", zlib.compress(raw))
        assert post.work_off(made).recipients == 0
        assert post.carrier.sent == []
        assert made.check_books().pending == 2
        assert 50 < (made.due() or 0) - store.seconds() <= 60

    def test_gives_way_after_a_slice(self, posts: MakePost) -> None:
        post = posts(slice_seconds=0.0)
        post.allow()
        made = post.make(10)
        sent = post.work_off(made)
        assert (sent.recipients, sent.more) == (0, True)
        assert (made.due() or 0) <= made.store.seconds()
        assert post.ledger.claim(made.ref(), owner="next").parks == 0


class TestVerdicts:
    def test_only_the_failed_entries_of_a_call_go_again(self, post: WorkerHarness) -> None:
        made = post.make(50)
        for address in made.addresses[10:15]:
            post.carrier.refuse(address, Kind.TRANSIENT)
        post.work_off(made)
        assert post.carrier.calls == [50, 5]
        assert Counter(post.carrier.addresses) == Counter(made.addresses)
        assert made.check_books().accepted == 50

    def test_a_rejected_one_does_not(self, post: WorkerHarness) -> None:
        made = post.make(5)
        post.carrier.refuse(made.addresses[2], Kind.REJECTED, "SES rejects the mail")
        post.work_off(made)
        assert post.carrier.calls == [5]
        rows = [row for row in Reports(made.store).rows(made.id) if row.reason]
        assert [(row.email, row.outcome, row.reason) for row in rows] == [
            (made.addresses[2], Outcome.REJECTED, "SES rejects the mail")
        ]
        assert made.check_books().accepted == 4
        assert post.used == 4

    def test_throttled_ones_go_again_and_shrink_the_rate(self, post: WorkerHarness) -> None:
        made = post.make(50)
        for address in made.addresses[:20]:
            post.carrier.refuse(address, Kind.THROTTLED, times=30)
        post.allow(rate=1e5)
        post.work_off(made)
        totals = made.check_books()
        assert (totals.accepted, totals.rejected, totals.ambiguous) == (50, 0, 0)
        assert Counter(post.carrier.addresses) == Counter(made.addresses)
        status = post.budget.status(ACCOUNT)
        assert status.rate < 1e5
        assert status.throttled == 20 * 30
        assert post.used == 50

    def test_throttled_for_ever_they_are_neither_failed_nor_parked_as_tried(
        self, posts: MakePost
    ) -> None:
        post = posts(slice_seconds=0.3)
        post.allow(rate=1e5, increase_per_second=1.0)
        made = post.make(5)
        for address in made.addresses:
            post.carrier.refuse(address, Kind.THROTTLED, times=10_000)
        assert post.work_off(made).more
        assert made.check_books().pending == 5
        assert len(post.carrier.calls) > 5
        assert post.ledger.claim(made.ref(), owner="next").parks == 0

    def test_a_whole_call_in_doubt_under_skip(self, post: WorkerHarness) -> None:
        made = post.make(60)
        post.carrier.end_next_call(Kind.AMBIGUOUS, accepts=True)
        post.work_off(made)
        totals = made.check_books()
        assert (totals.ambiguous, totals.accepted) == (50, 10)
        assert max(Counter(post.carrier.addresses).values()) == 1
        assert post.used == 60

    def test_a_whole_call_in_doubt_under_resend(self, post: WorkerHarness) -> None:
        made = post.make(60, on_ambiguous=OnAmbiguous.RESEND)
        post.carrier.end_next_call(Kind.AMBIGUOUS, accepts=False)
        post.work_off(made)
        assert made.check_books().accepted == 60
        assert Counter(post.carrier.addresses) == Counter(made.addresses)

    def test_a_spent_quota_holds_the_account_asks_ses_and_parks(
        self, post: WorkerHarness, store: Store
    ) -> None:
        readings = store.keys.readings
        store.client.zadd(readings, {ACCOUNT: 1e12})
        made = post.make(60)
        post.carrier.end_next_call(Kind.QUOTA)
        sent = post.work_off(made)
        assert (sent.recipients, sent.more) == (0, False)
        held = post.dispatch.held(ACCOUNT, made.route.lane)
        assert held is not None
        assert "quota" in held[0]
        assert store.client.zscore(readings, ACCOUNT) < 1e12
        assert made.check_books().pending == 60
        assert post.used == 0
        assert post.ledger.claim(made.ref(), owner="next").parks == 0

    def test_a_batch_parked_for_the_quota_goes_as_soon_as_there_is_more(
        self, post: WorkerHarness
    ) -> None:
        """A raised quota must not wait for the hour at which the old one would have freed."""
        post.allow(quota=30.0)
        made = post.make(60)
        assert post.work_off(made).recipients == 30
        assert post.dispatch.held(ACCOUNT, made.route.lane) is not None
        post.allow(quota=100.0)
        post.dispatch.release_hold(ACCOUNT)
        post.dispatch.announce("me", {made.route.lane: 1})
        post.dispatch.wake(made.route)
        [turn] = post.dispatch.pick()
        assert post.dispatch.release(turn)[0].numbers == (0,)
        assert post.work_off(made).recipients == 30

    def test_a_fault_of_the_campaign_halts_it_and_resume_goes_on(
        self, post: WorkerHarness, settings: Settings
    ) -> None:
        made = post.make(60)
        post.carrier.end_next_call(Kind.STOP_CAMPAIGN, "no such configuration set")
        assert post.work_off(made).recipients == 0
        assert made.field("halted") == "no such configuration set"
        assert made.check_books().pending == 60
        assert post.work_off(made, owner="again").recipients == 0
        assert post.budget.status(ACCOUNT).halted == ""
        resume(made, settings)
        assert post.work_off(made, owner="after").recipients == 60
        assert made.check_books().accepted == 60

    def test_a_halted_account_halts_no_campaign_and_one_resume_lets_all_go_on(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        made = [post.make(5) for _ in range(5)]
        post.carrier.end_next_call(Kind.STOP_ACCOUNT, "suspended")
        for one in made:
            post.work_off(one)
        assert post.carrier.calls == [5]
        assert post.budget.status(ACCOUNT).halted == "suspended"
        assert all(post.dispatch.held(ACCOUNT, lane) for lane in Lane)
        for one in made:
            assert one.field("halted") == ""
            assert one.check_books().pending == 5
            assert post.ledger.claim(one.ref(), owner="next").parks == 0
        client.resume_account(ACCOUNT)
        assert not any(post.dispatch.held(ACCOUNT, lane) for lane in Lane)
        for one in made:
            post.work_off(one, owner="next")
            assert one.check_books().accepted == 5

    def test_whoever_found_the_account_halted_holds_it_no_longer_once_it_is_resumed(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        post.budget.halt(ACCOUNT, "suspended")
        client.resume_account(ACCOUNT)
        post.worker.sender.accounts.hold_halted(ACCOUNT, "suspended")
        assert not any(post.dispatch.held(ACCOUNT, lane) for lane in Lane)

    def test_a_paused_account_sends_nothing_for_any_campaign(
        self, post: WorkerHarness, client: Postroom
    ) -> None:
        made = post.make(5)
        client.pause_account(ACCOUNT)
        assert post.work_off(made).recipients == 0
        assert (post.carrier.calls, made.field("halted")) == ([], "")
        client.resume_account(ACCOUNT)
        assert post.work_off(made, owner="after").recipients == 5

    def test_tries_spent_the_batch_is_parked_and_given_up_at_last(
        self, post: WorkerHarness
    ) -> None:
        made = post.make(3)
        for address in made.addresses:
            post.carrier.refuse(address, Kind.TRANSIENT, times=100)
        for parks in range(3):
            assert made.check_books().pending == 3
            assert not post.work_off(made, owner=f"try {parks}").more
        assert made.check_books().rejected == 3
        assert len(post.carrier.calls) == 3 * post.settings.retry.max_attempts
        assert made.field("finished_at")

    def test_ses_out_of_reach_costs_nobody_a_try(self, post: WorkerHarness) -> None:
        made = post.make(3)
        for _ in range(post.settings.retry.max_attempts + 6):
            post.carrier.end_next_call(Kind.UNREACHABLE, "SES cannot be reached")
        while post.carrier.next_answers:
            post.work_off(made, owner=f"with {len(post.carrier.next_answers)} to come")
            assert made.check_books().pending == 3
        assert post.ledger.claim(made.ref(), owner="next").parks == 0
        post.work_off(made, owner="next")
        assert made.check_books().accepted == 3

    def test_a_stretch_of_broken_answers_costs_few_recipients(
        self, posts: MakePost, settings: Settings
    ) -> None:
        post = posts()
        post.allow()
        made = post.make(500)
        for _ in range(post.settings.retry.max_attempts + 20):
            post.carrier.end_next_call(Kind.AMBIGUOUS, "SES answered with 500")
        while post.carrier.next_answers:
            post.work_off(made, owner=f"with {len(post.carrier.next_answers)} to come")
        # Whole calls until it is clear that SES fails, then one recipient at a time.
        assert made.check_books().ambiguous == 3 * 50 + 20
        post.work_off(made, owner="at last")
        assert made.check_books().accepted == 500 - 170

    def test_while_ses_fails_the_account_rests_and_says_why(self, post: WorkerHarness) -> None:
        made = post.make(500)
        for _ in range(post.settings.retry.max_attempts):
            post.carrier.end_next_call(Kind.AMBIGUOUS, "SES answered with 500")
        post.work_off(made)
        assert post.carrier.calls == [50, 50, 50]
        assert made.check_books().pending == 350

    def test_a_campaign_that_is_sent_again_meets_no_outage(self, post: WorkerHarness) -> None:
        """Under `resend` a broken answer may be one recipient's own: its tries end it."""
        made = post.make(60, on_ambiguous=OnAmbiguous.RESEND)
        for _ in range(100):
            post.carrier.end_next_call(Kind.AMBIGUOUS, "SES answered with 500")
        post.work_off(made)
        assert post.ledger.claim(made.ref(), owner="next").parks == 1

    def test_parked_it_waits_for_a_while(self, post: WorkerHarness) -> None:
        made = post.make(3)
        post.carrier.refuse(made.addresses[0], Kind.TRANSIENT, times=100)
        post.work_off(made)
        assert made.check_books().accepted == 2
        assert 50 < (made.due() or 0) - made.store.seconds() <= 60
        assert post.ledger.claim(made.ref(), owner="next").parks == 1

    def test_one_stubborn_recipient_blocks_nobody(self, post: WorkerHarness) -> None:
        made = post.make(150)
        post.carrier.refuse(made.addresses[0], Kind.TRANSIENT, times=100)
        post.work_off(made)
        assert made.check_books().accepted == 149
        assert set(post.carrier.addresses) == set(made.addresses[1:])

    def test_nor_when_each_call_has_room_for_one(self, posts: MakePost) -> None:
        post = posts(bulk_call_size=1)
        post.allow()
        made = post.make(6)
        post.carrier.refuse(made.addresses[0], Kind.TRANSIENT, times=100)
        post.work_off(made)
        assert set(post.carrier.addresses) == set(made.addresses[1:])


class TestCalls:
    def test_one_nobody_can_render_is_rejected_and_uses_no_budget(
        self, post: WorkerHarness
    ) -> None:
        text = "{{ 1 // number }}"
        given = [Recipient(f"user{n}@example.org", {"number": n}) for n in range(4)]
        made = post.make(given, text=text, defaults={})
        post.allow(rate=16.0)
        post.work_off(made)
        tokens = made.store.client.hget(made.store.keys.account(ACCOUNT).budget, "tokens")
        assert float(tokens) >= 1.0
        assert post.carrier.calls == [3]
        totals = made.check_books()
        assert (totals.accepted, totals.rejected) == (3, 1)
        assert post.used == 3

    def test_a_batch_nobody_of_which_can_be_rendered(self, post: WorkerHarness) -> None:
        given = [Recipient(f"user{n}@example.org", {"number": 0}) for n in range(4)]
        made = post.make(given, text="{{ 1 // number }}", defaults={})
        post.work_off(made)
        assert post.carrier.sent == []
        assert made.check_books().rejected == 4
        assert made.field("finished_at")
        assert post.used == 0

    def test_one_too_large_for_bulk_goes_by_itself(self, post: WorkerHarness) -> None:
        large = Recipient("large@example.org", {"name": "x" * 300_000})
        made = post.make([large, *people(20)])
        post.work_off(made)
        assert made.check_books().accepted == 21
        assert [one.to for one in post.carrier.sent if not one.bulk] == ["large@example.org"]

    def test_a_refused_call_is_told_apart_one_by_one(self, post: WorkerHarness) -> None:
        made = post.make(8)
        post.carrier.end_next_call(Kind.ONE_BY_ONE)
        post.carrier.refuse(made.addresses[3], Kind.REJECTED, "its address")
        post.work_off(made)
        assert post.carrier.calls == [8, *[1] * 8]
        totals = made.check_books()
        assert (totals.accepted, totals.rejected) == (7, 1)

    @pytest.mark.parametrize("kind", [Kind.BULK_THROTTLED, Kind.BULK_UNKNOWN])
    def test_when_bulk_is_refused_the_account_goes_over_to_single(
        self, post: WorkerHarness, kind: Kind
    ) -> None:
        made = post.make(40)
        post.carrier.end_next_call(kind)
        post.work_off(made)
        assert made.check_books().accepted == 40
        assert post.carrier.calls == [40, *[1] * 40]

    def test_nobody_of_a_refused_call_is_sent_in_it_and_its_tokens_come_back(
        self, posts: MakePost
    ) -> None:
        """One call is one answer: what SES refused as a whole goes in a later call."""
        post = posts(slice_seconds=0.0)
        made = post.make(8)
        post.allow(rate=40.0)
        post.carrier.end_next_call(Kind.ONE_BY_ONE)
        work = post.opened(made)
        post.worker.sender.caller.call(work)
        assert (post.carrier.calls, work.alone) == ([8], set(range(8)))
        assert made.check_books().pending == 8
        tokens = made.store.client.hget(made.store.keys.account(ACCOUNT).budget, "tokens")
        assert float(tokens) >= 8
        assert post.used == 0
        post.worker.sender.caller.call(work)
        assert made.check_books().accepted == 8

    def test_one_alone_spends_no_bulk_request(self, post: WorkerHarness) -> None:
        """A message, or the last one of a batch: bulk requests are scarce."""
        made = post.make(51)
        post.work_off(made)
        assert [sent.bulk for sent in post.carrier.sent] == [True] * 50 + [False]

    def test_in_mode_bulk_even_one_alone_goes_in_bulk(self, posts: MakePost) -> None:
        post = posts(mode="bulk")
        post.allow()
        post.work_off(post.make(1))
        assert [sent.bulk for sent in post.carrier.sent] == [True]

    def test_in_mode_bulk_a_throttled_bulk_request_holds_the_account_and_says_why(
        self, posts: MakePost
    ) -> None:
        post = posts(mode="bulk", cap_seconds=60.0)
        post.allow()
        made = post.make(60)
        for _ in range(50):
            post.carrier.end_next_call(Kind.BULK_THROTTLED, "SES takes no more requests")
        for attempt in range(30):
            assert not post.work_off(made, owner=f"try {attempt}").more
            held = post.dispatch.held(ACCOUNT, made.route.lane)
            assert held is not None
            assert held[0] == "SES takes no more requests"
        assert made.check_books().pending == 60
        assert post.ledger.claim(made.ref(), owner="next").parks == 0

    def test_in_mode_bulk_an_ses_without_bulk_names_the_setting_to_change(
        self, posts: MakePost
    ) -> None:
        post = posts(mode="bulk")
        post.allow()
        made = post.make(60)
        post.carrier.end_next_call(Kind.BULK_UNKNOWN, "this SES does not know SendBulkEmail")
        post.work_off(made)
        assert "accounts.main.send_mode" in post.budget.status(ACCOUNT).halted
        assert made.check_books().pending == 60

    def test_single_mode_never_calls_bulk(self, posts: MakePost) -> None:
        post = posts(mode="single")
        post.allow()
        made = post.make(40)
        post.work_off(made)
        assert post.carrier.calls == [1] * 40
        assert made.check_books().accepted == 40

    def test_calls_are_no_larger_than_the_bucket(self, post: WorkerHarness) -> None:
        post.allow(rate=40.0)
        made = post.make(20)
        post.work_off(made)
        assert post.carrier.calls == [10, 10]


class Held(FakeCarrier):
    """Holds its first call until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = threading.Event(), threading.Event()

    def send_bulk(
        self,
        mailing: Mailing,
        batch_number: int,
        entries: Sequence[BulkEntry],
        gate: Gate = always_open,
    ) -> list[Verdict]:
        assert not gate()
        self.reached.set()
        assert self.go.wait(10)
        return super().send_bulk(mailing, batch_number, entries)


def released(post: WorkerHarness, made: PreparedCampaign) -> PreparedCampaign:
    """One worker with one slot, and the first batch is out."""
    post.dispatch.announce("me", {made.route.lane: 1})
    post.dispatch.wake(made.route)
    assert release(post.dispatch, post.worker.publisher) == 1
    return made


def asleep(post: WorkerHarness, made: PreparedCampaign) -> None:
    """All of it is released: it sleeps for a long grace."""
    post.dispatch.drop(made.id)
    post.dispatch.wake(made.route, within=3600)


class TestTask:
    def test_goes_on_with_what_is_due_and_needs_no_message_for_it(
        self, post: WorkerHarness, store: Store
    ) -> None:
        made = released(post, post.make(6, batch_size=2))
        assert post.worker.send_batch(made.ref(0)) == 6
        assert store.client.llen("postroom:celery:batches") == 1

    def test_leaves_the_next_batch_to_others_when_its_slice_is_over(
        self, posts: MakePost, store: Store
    ) -> None:
        post = posts(FakeCarrier(), slice_seconds=0.0)
        post.allow()
        made = released(post, post.make(6, batch_size=2))
        post.worker.send_batch(made.ref(0))
        assert store.client.llen("postroom:celery:batches") == 2

    def test_delivered_again_leaves_the_room_of_the_run_that_has_the_batch(
        self, post: WorkerHarness, store: Store
    ) -> None:
        made = released(post, post.make(6, batch_size=2))
        post.ledger.claim(made.ref(0), owner="another run")
        out = store.keys.dispatch(f"out:{made.route.lane}")
        clocks = store.keys.dispatch("clocks")
        before = store.client.zcard(out), store.client.hget(clocks, made.id)
        # The room that is left is taken by the next batch; that of the first one stays its own.
        post.dispatch.retire("me")
        assert post.worker.send_batch(made.ref(0)) == 0
        assert (store.client.zcard(out), store.client.hget(clocks, made.id)) == before
        assert before[0] == 1

    def test_goes_on_with_nothing_when_the_worker_stops(self, post: WorkerHarness) -> None:
        made = released(post, post.make(6, batch_size=2))
        post.stopping.ask()
        assert post.worker.send_batch(made.ref(0)) == 0
        assert made.check_books().pending == 6

    def test_parked_it_wakes_its_campaign_when_it_is_due_again(
        self, post: WorkerHarness, store: Store
    ) -> None:
        """Its campaign sleeps for the grace of what is released, which may be longer."""
        made = released(post, post.make(2, batch_size=2))
        asleep(post, made)
        for address in made.addresses:
            post.carrier.refuse(address, Kind.TRANSIENT, times=100)
        assert post.worker.send_batch(made.ref()) == 0
        wakes_at = store.client.zscore(store.keys.dispatch("asleep"), made.id)
        assert wakes_at <= made.due() + 1

    def test_of_a_quota_that_is_spent_stands_in_line_for_when_it_is_not(
        self, post: WorkerHarness
    ) -> None:
        made = released(post, post.make(2, batch_size=2))
        asleep(post, made)
        post.carrier.end_next_call(Kind.QUOTA)
        assert post.worker.send_batch(made.ref()) == 0
        assert post.dispatch.waiting(ACCOUNT, made.route.lane) == 1
        post.dispatch.release_hold(ACCOUNT)
        assert release(post.dispatch, post.worker.publisher) == 1

    def test_takes_no_more_than_the_workers_have_room_for(
        self, post: WorkerHarness, store: Store
    ) -> None:
        made = released(post, post.make(6, batch_size=2))
        post.dispatch.retire("me")
        assert post.worker.send_batch(made.ref(0)) == 2

    def test_of_a_campaign_that_does_not_exist_does_no_harm(self, post: WorkerHarness) -> None:
        ref = BatchRef(campaign_id=CampaignId("nonsense"), number=3)
        assert post.worker.send_batch(ref) == 0

    def test_of_a_batch_that_does_not_exist_does_no_harm(self, post: WorkerHarness) -> None:
        made = post.make(2)
        assert post.worker.send_batch(made.ref(77)) == 0
        assert made.check_books().pending == 2

    def test_of_a_sender_the_worker_does_not_know_goes_back_to_the_queue_at_once(
        self, post: WorkerHarness, store: Store
    ) -> None:
        made = released(post, post.make(2, sender=SenderName("nobody")))
        store.client.delete("postroom:celery:batches")
        assert post.worker.send_batch(made.ref()) == 0
        assert store.client.llen("postroom:celery:batches") == 1
        assert store.client.zcard(store.keys.dispatch("out:bulk")) == 1

    def test_passes_by_a_campaign_it_cannot_send_and_takes_the_next(
        self, post: WorkerHarness, store: Store
    ) -> None:
        unknown = released(post, post.make(4, sender=SenderName("nobody"), batch_size=2))
        post.worker.send_batch(unknown.ref())
        store.client.delete(store.keys.dispatch("out:bulk"))
        known = post.make(4, batch_size=2)
        post.dispatch.wake(known.route)
        assert post.worker.send_batch(known.ref()) == 4
        assert known.check_books().accepted == 4

    def test_takes_nothing_of_an_account_that_it_cannot_send_for(
        self, post: WorkerHarness, store: Store
    ) -> None:
        made = released(post, post.make(6, batch_size=2))
        post.carrier.end_next_call(Kind.STOP_WORKER, "no usable AWS credentials")
        assert post.worker.send_batch(made.ref()) == 0
        assert post.carrier.calls == [2]
        assert made.check_books().pending == 6


class TestInTheMiddle:
    @pytest.fixture
    def held(self, posts: MakePost) -> WorkerHarness:
        post = posts(Held())
        post.allow()
        return post

    def during_a_call(
        self, post: WorkerHarness, made: PreparedCampaign, act: Callable[[], object]
    ) -> None:
        """Work on a batch, and act while its first call is with SES."""
        carrier = post.carrier
        assert isinstance(carrier, Held)
        with ThreadPoolExecutor(1) as worker:
            done = worker.submit(post.work_off, made)
            assert carrier.reached.wait(10)
            act()
            carrier.go.set()
            done.result(timeout=20)

    def test_a_stop_settles_the_call_and_parks_the_rest_at_once(self, held: WorkerHarness) -> None:
        made = held.make(200)
        self.during_a_call(held, made, held.stopping.ask)
        totals = made.check_books()
        assert (totals.accepted, totals.pending, totals.ambiguous) == (50, 150, 0)
        assert (made.due() or 0) <= made.store.seconds()

    @pytest.mark.parametrize("action", ["pause", "cancel"])
    def test_a_pause_or_cancel_lets_no_further_call_go(
        self, held: WorkerHarness, settings: Settings, action: str
    ) -> None:
        made = held.make(200)
        steering = Campaigns(made.store, settings.store)
        self.during_a_call(held, made, lambda: getattr(steering, action)(made.id))
        assert held.carrier.calls == [50]
        assert made.check_books().accepted == 50
        if action == "cancel":
            steering.close_pending(made.id)
            assert made.check_books().cancelled == 150
            assert made.field("finished_at")
        assert held.used == 50

    def test_a_zombie_whose_batch_was_taken_stops_and_settles_nothing(
        self, held: WorkerHarness
    ) -> None:
        made = held.make(200)

        def another_takes_it() -> None:
            made.lapse()
            held.ledger.claim(made.ref(), owner="another")

        self.during_a_call(held, made, another_takes_it)
        assert held.carrier.calls == [50]
        totals = made.check_books()
        assert (totals.ambiguous, totals.accepted, totals.pending) == (50, 0, 150)

    def test_a_stop_ends_the_wait_for_the_rate(self, posts: MakePost) -> None:
        post = posts(max_wait_seconds=30.0)
        post.allow(rate=0.1)
        made = post.make(5)
        with ThreadPoolExecutor(1) as worker:
            done = worker.submit(post.work_off, made)
            line = made.store.keys.account(ACCOUNT).line
            wait_until(lambda: made.store.client.zcard(line), "it waits for the rate")
            post.stopping.ask()
            done.result(timeout=30)
        totals = made.check_books()
        assert (totals.accepted, totals.pending, totals.ambiguous) == (1, 4, 0)
        assert (made.due() or 0) <= made.store.seconds()


class TestRedisAway:
    """While Redis is away nothing is sent; when it is back, everybody waits no longer."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[RedisServer]:
        own = RedisServer(tmp_path, "--appendfsync", "always")
        own.start()
        yield own
        own.stop()

    @pytest.fixture
    def away(self, server: RedisServer, settings: Settings) -> Iterator[WorkerHarness]:
        redis = msgspec.structs.replace(settings.redis, url=server.url, timeout_seconds=0.3)
        store = Store(redis)
        post = WorkerHarness(store, quick(msgspec.structs.replace(settings, redis=redis)), Held())
        post.allow()
        yield post
        post.close()
        store.close()

    @pytest.mark.parametrize("trouble", ["stopped", "frozen", "read only", "full"])
    def test_in_the_middle_of_a_batch_it_is_waited_for(
        self, away: WorkerHarness, server: RedisServer, trouble: str
    ) -> None:
        begin, end = {
            "stopped": (server.stop, server.start),
            "frozen": (server.freeze, server.thaw),
            "read only": (
                lambda: server.client.replicaof("127.0.0.1", 1),
                lambda: server.client.replicaof("NO", "ONE"),
            ),
            "full": (
                lambda: server.client.config_set("maxmemory", 1),
                lambda: server.client.config_set("maxmemory", 0),
            ),
        }[trouble]
        made, carrier = away.make(300), away.carrier
        assert isinstance(carrier, Held)
        with ThreadPoolExecutor(1) as worker:
            done = worker.submit(away.work_off, made)
            assert carrier.reached.wait(10)
            begin()
            carrier.go.set()
            wait_until(lambda: len(carrier.sent) == 50, "the call is answered")
            with pytest.raises(TimeoutError):
                done.result(timeout=0.8)
            assert len(carrier.calls) == 1
            end()
            assert done.result(timeout=20).recipients == 300
        assert Counter(carrier.addresses) == Counter(made.addresses)
        assert made.check_books().accepted == 300

    def test_a_campaign_new_to_the_worker_is_waited_for_too(
        self, away: WorkerHarness, server: RedisServer
    ) -> None:
        made, carrier = away.make(3), away.carrier
        assert isinstance(carrier, Held)
        carrier.go.set()
        server.freeze()
        with ThreadPoolExecutor(1) as worker:
            done = worker.submit(away.worker.send_batch, made.ref())
            with pytest.raises(TimeoutError):
                done.result(timeout=0.8)
            server.thaw()
            assert done.result(timeout=20) == 3
        assert made.check_books().accepted == 3

    @pytest.mark.parametrize("trouble", ["connections cut", "script cache flushed"])
    def test_what_passes_at_once_is_not_noticed(
        self, away: WorkerHarness, server: RedisServer, trouble: str
    ) -> None:
        made, carrier = away.make(300), away.carrier
        assert isinstance(carrier, Held)
        with ThreadPoolExecutor(1) as worker:
            done = worker.submit(away.work_off, made)
            assert carrier.reached.wait(10)
            if trouble == "connections cut":
                server.client.client_kill_filter(_type="normal", skipme=True)
            else:
                server.client.script_flush()
            carrier.go.set()
            assert done.result(timeout=20).recipients == 300
        assert Counter(carrier.addresses) == Counter(made.addresses)
        assert made.check_books().accepted == 300

    def test_a_stop_while_it_is_away_ends_after_the_grace(
        self, server: RedisServer, settings: Settings
    ) -> None:
        redis = msgspec.structs.replace(settings.redis, url=server.url, timeout_seconds=0.2)
        changed = quick(msgspec.structs.replace(settings, redis=redis), grace_seconds=0.5)
        store, carrier = Store(redis), Held()
        post = WorkerHarness(store, changed, carrier)
        post.allow()
        made = post.make(100)
        with ThreadPoolExecutor(1) as worker:
            done = worker.submit(post.work_off, made)
            assert carrier.reached.wait(10)
            server.freeze()
            carrier.go.set()
            post.stopping.ask()
            error = done.exception(timeout=30)
            server.thaw()
        assert "Redis" in str(error)
        made.lapse()
        heir = post.ledger.claim(made.ref(), owner="heir")
        assert len(heir.open()) == 50
        assert made.check_books().total == 100
        store.close()
