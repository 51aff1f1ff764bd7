"""Nothing is `sending` that is not leaving, at any latency; what is too old does not leave."""

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from postroom import clock
from postroom.model import Lane, Recipient
from postroom.settings import Settings
from postroom.store.campaigns import Campaigns
from postroom.store.connection import Store
from tests.support.campaigns import ACCOUNT, PreparedCampaign
from tests.support.fake_carrier import FakeCarrier
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness, quick
from worker.render import Mailing
from worker.ses.departure import Gate, always_open
from worker.ses.verdict import Kind, Verdict

PLACES, BATCHES = 16, 8
MakePost = Callable[..., WorkerHarness]


class Slow(FakeCarrier):
    """An SES that answers SendEmail after a while, or not before it is told to."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__()
        self.seconds, self.go = seconds, threading.Event()
        self.left: list[str] = []

    def send_one(
        self,
        mailing: Mailing,
        batch_number: int,
        index: int,
        recipient: Recipient,
        gate: Gate = always_open,
    ) -> Verdict:
        if why := gate():
            return Verdict(Kind.UNSENT, why)
        self.left.append(recipient.email)
        self.go.wait(60 if self.seconds is None else self.seconds)
        return super().send_one(mailing, batch_number, index, recipient)


@pytest.fixture
def posts(store: Store, settings: Settings) -> Iterator[MakePost]:
    made: list[WorkerHarness] = []

    def make(carrier: FakeCarrier, *, mode: str = "single", **worker: object) -> WorkerHarness:
        changed = quick(settings, **{"single_calls": PLACES, "max_wait_seconds": 0.5, **worker})
        post = WorkerHarness(store, changed, carrier, mode=mode)
        post.allow()
        made.append(post)
        return post

    yield make
    for post in made:
        post.close()


class Watch:
    """Looks at the books of a campaign all the time, and keeps the most that was `sending`."""

    def __init__(self, made: PreparedCampaign) -> None:
        self.most, self._made, self._over = 0, made, threading.Event()

    def __enter__(self) -> "Watch":
        self._looking = threading.Thread(target=self._look)
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._over.is_set():
            self.most = max(self.most, self._made.totals().sending)


def at_work(
    post: WorkerHarness, made: PreparedCampaign, threads: ThreadPoolExecutor
) -> list[object]:
    return [threads.submit(post.work_off, made, number) for number in made.numbers]


class TestPlaces:
    def test_no_more_is_sending_than_can_be_in_flight(self, posts: MakePost) -> None:
        post = posts(Slow(0.02), max_wait_seconds=30.0)
        made = post.make(320, batch_size=40)
        with ThreadPoolExecutor(BATCHES) as threads, Watch(made) as watch:
            wait(at_work(post, made, threads))
        assert 0 < watch.most <= PLACES
        assert made.check_books().accepted == 320
        assert post.used == 320

    def test_nor_while_ses_answers_nothing_at_all(self, posts: MakePost) -> None:
        carrier = Slow()
        post = posts(carrier)
        made = post.make(320, batch_size=40)
        bulk = PLACES - PLACES // 8
        with ThreadPoolExecutor(BATCHES) as threads, Watch(made) as watch:
            working = at_work(post, made, threads)
            wait_until(lambda: len(carrier.left) == bulk, "every place is taken")
            # Who finds none in time parks his batch; who has some waits for the answer.
            wait_until(lambda: any(one.done() for one in working), "others park")
            assert made.totals().sending == len(carrier.left) == bulk
            carrier.go.set()
            wait(working)
        assert watch.most <= bulk
        totals = made.check_books()
        assert (totals.ambiguous, totals.sending) == (0, 0)
        assert totals.pending > 0

    def test_a_message_does_not_wait_behind_slow_bulk(self, posts: MakePost) -> None:
        carrier = Slow()
        post = posts(carrier)
        made, message = post.make(80, batch_size=40), post.make(1, lane=Lane.TRANSACTIONAL)
        with ThreadPoolExecutor(4) as threads:
            working = at_work(post, made, threads)
            wait_until(lambda: len(carrier.left) == PLACES - PLACES // 8, "bulk has its places")
            working.append(threads.submit(post.work_off, message))
            wait_until(lambda: len(carrier.left) > PLACES - PLACES // 8, "the message leaves")
            carrier.go.set()
            wait(working)
        assert message.check_books().accepted == 1

    def test_who_waits_for_the_rate_keeps_one_place_only(self, posts: MakePost) -> None:
        """Else a slow account would hold the places of a fast one for as long as it waits."""
        post = posts(FakeCarrier(), max_wait_seconds=60.0)
        post.allow(rate=0.1)
        made = post.make(40)
        pool = post.worker.cache(made.id).delivery.calls
        line = made.store.keys.account(ACCOUNT).line
        with ThreadPoolExecutor(1) as threads:
            working = at_work(post, made, threads)
            wait_until(lambda: made.store.client.zcard(line) == 1, "it waits for the rate")
            assert pool.room(Lane.TRANSACTIONAL) == PLACES - 1
            post.stopping.ask()
            wait(working)
        assert pool.room(Lane.TRANSACTIONAL) == PLACES

    @pytest.mark.parametrize("action", ["pause", "cancel"])
    def test_after_a_pause_or_cancel_nothing_leaves(
        self, posts: MakePost, settings: Settings, action: str
    ) -> None:
        carrier = Slow()
        post = posts(carrier, max_wait_seconds=20.0)
        made = post.make(320, batch_size=40)
        with ThreadPoolExecutor(BATCHES) as threads:
            working = at_work(post, made, threads)
            wait_until(lambda: len(carrier.left) == PLACES - PLACES // 8, "every place is taken")
            getattr(Campaigns(made.store, settings.store), action)(made.id)
            left = len(carrier.left)
            carrier.go.set()
            wait(working)
        assert len(carrier.left) == left
        assert made.check_books().accepted == left


class Frozen:
    """A clock that jumps ahead after some looks at it, as for a process that was stopped."""

    def __init__(self, *, after: int) -> None:
        self._left = after

    def __call__(self) -> float:
        self._left -= 1
        return clock.boottime() + (0.0 if self._left >= 0 else 1e6)


class TestAge:
    @pytest.mark.parametrize("mode", ["single", "bulk"])
    def test_a_call_that_grew_too_old_does_not_leave_and_costs_nothing(
        self, posts: MakePost, mode: str
    ) -> None:
        post = posts(FakeCarrier(), mode=mode)
        made = post.make(8)
        post.allow(rate=64.0)
        caller = dataclasses.replace(post.worker.sender.caller, clock=Frozen(after=1))
        work = post.opened(made)
        caller.call(work)
        tokens = made.store.client.hget(made.store.keys.account(ACCOUNT).budget, "tokens")
        assert (post.carrier.sent, made.check_books().pending) == ([], 8)
        assert (post.used, float(tokens) >= 8, work.failures) == (0, True, 0)
        caller.call(work)  # This one was begun after the clock had jumped.
        assert Counter(post.carrier.addresses) == Counter(made.addresses)
        assert made.check_books().accepted == 8

    def test_a_call_that_a_stop_overtakes_does_not_leave(self, posts: MakePost) -> None:
        post = posts(FakeCarrier())
        made = post.make(8)
        caller = post.worker.sender.caller
        begin = caller.books.begin

        class Stopped:
            settle = caller.books.settle

            def begin(self, *told: object) -> None:
                begin(*told)
                post.stopping.ask()

        caller = dataclasses.replace(caller, books=Stopped())
        sender = dataclasses.replace(post.worker.sender, caller=caller)
        post.worker = dataclasses.replace(post.worker, sender=sender)
        post.work_off(made)
        assert (made.check_books().pending, post.carrier.sent, post.used) == (8, [], 0)
        assert (made.due() or 0) <= made.store.seconds()

    def test_a_suspended_host_ages_a_call(self, posts: MakePost) -> None:
        assert posts(FakeCarrier()).worker.sender.caller.clock is clock.boottime
