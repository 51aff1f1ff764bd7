"""The budget: no window of time grants more than it may, and nobody in line is forgotten.

Redis' clock stands still here, and whoever is told to wait makes time pass: nothing depends on
how busy the machine is. Real threads and processes: tests/integration/test_limiter.py.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Any

import pytest

from postroom.model import AccountName, Lane
from postroom.store.budget import Allowance, Ask, Budget, Grant, Wait, Why
from postroom.store.connection import Store
from tests.support.redis_clock import ClockedStore

ACCOUNT = AccountName("main")


@pytest.fixture
def budget(store: ClockedStore) -> Budget:
    store.stop_the_clock()
    return Budget(store)


@dataclass
class Take:
    """Asks the budget of the account, and waits by making time pass."""

    budget: Budget
    store: ClockedStore
    asked: int = 0

    def __call__(self, wanted: int = 1, waiter: str = "me", **more: Any) -> Grant | Wait:
        self.asked += 1
        longest = more.pop("max_wait_seconds", 5.0)
        usual = {"lane": Lane.BULK, "bulk_request": False, "campaign_id": "c1", "weight": 1.0}
        ask = Ask(waiter=waiter, wanted=wanted, **{**usual, **more})
        return self.budget.take(ACCOUNT, ask, max_wait_seconds=longest)

    def wait(self, seconds: float) -> None:
        self.store.pass_time(seconds)

    def wait_until(self, at: float) -> None:
        self.wait(max(0.0, at - self.now))

    @property
    def now(self) -> float:
        return self.store.seconds()


@pytest.fixture
def take(budget: Budget, store: ClockedStore) -> Take:
    return Take(budget, store)


def allows(budget: Budget, **more: Any) -> bool:
    """SES tells of an account: 1,000 a second, no quota, unless said otherwise."""
    told: dict[str, Any] = {
        "rate": 1000.0,
        "quota": -1.0,
        "sent": -1.0,
        "window_seconds": 86_400.0,
        "cells": 288,
        "burst_seconds": 0.25,
        "increase_per_second": 0.05,
        "requests_per_second": 0.0,
        "refresh_seconds": 30.0,
    }
    return budget.observe(ACCOUNT, Allowance(**{**told, **more}))


def granted(answer: Grant | Wait) -> int:
    return answer.recipients if isinstance(answer, Grant) else 0


def waited(answer: Grant | Wait) -> Wait:
    assert isinstance(answer, Wait), answer
    return answer


def patiently(take: Take, wanted: int, waiter: str, **more: Any) -> Grant:
    """Take as a worker does: come back when told to."""
    for _ in range(12):
        answer = take(wanted, waiter, **more)
        if isinstance(answer, Grant):
            return answer
        take.wait(answer.seconds)
    raise AssertionError(f"{waiter} was never served")


def fill(budget: Budget, store: Store) -> None:
    """Let the bucket be full, as after a while without work."""
    store.client.hset(store.keys.account(ACCOUNT).budget, "tokens", 1e9)


def empty(store: Store) -> None:
    key = store.keys.account(ACCOUNT).budget
    store.client.hset(key, mapping={"tokens": 0, "at": f"{store.seconds():.6f}"})


class TestBeforeAnything:
    def test_an_account_nobody_has_read_grants_nothing(self, take: Take) -> None:
        answer = waited(take())
        assert (answer.why, answer.seconds) == (Why.UNKNOWN, 10.0)

    def test_a_halted_one_grants_nothing_and_says_why(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget)
        fill(budget, store)
        budget.halt(ACCOUNT, "its keys were revoked")
        answer = waited(take())
        assert (answer.why, answer.detail) == (Why.HALTED, "its keys were revoked")
        store.client.zadd(store.keys.readings, {ACCOUNT: 1e12})
        budget.resume(ACCOUNT)
        assert granted(take()) == 1
        assert store.client.zscore(store.keys.readings, ACCOUNT) == 0

    def test_a_rate_of_nothing_grants_nothing_and_does_not_spin(
        self, budget: Budget, take: Take
    ) -> None:
        allows(budget, rate=0.0)
        answer = waited(take(10))
        assert 1.0 <= answer.seconds <= 60.0
        allows(budget, rate=10.0)
        assert granted(take()) + waited(take(2)).seconds < 5


class TestRate:
    def test_a_new_account_starts_empty(self, budget: Budget, take: Take) -> None:
        allows(budget, rate=100.0)
        assert 0.05 < waited(take(10)).seconds <= 0.1

    def test_a_call_is_never_larger_than_what_the_bucket_holds(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=40.0)
        fill(budget, store)
        answer = take(50)
        assert (granted(answer), answer.holds) == (10, 10)

    def test_at_one_a_second_it_holds_one(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, rate=1.0)
        fill(budget, store)
        assert granted(take(50)) == 1
        assert 0.9 < waited(take(50)).seconds <= 1.05

    @pytest.mark.parametrize("rate", [1.0, 0.5])
    def test_in_the_sandbox_no_two_are_closer_than_ses_takes_them(
        self, budget: Budget, take: Take, store: Store, rate: float
    ) -> None:
        allows(budget, rate=rate)
        fill(budget, store)
        granted_at = []
        for late in (0.3, 0.2, 0.0):
            patiently(take, 1, "me")
            granted_at.append(store.seconds())
            answer = waited(take(1, "me"))
            take.wait(answer.seconds + late)  # A worker that overslept.
        patiently(take, 1, "me")
        granted_at.append(store.seconds())
        gaps = [later - one for one, later in itertools.pairwise(granted_at)]
        assert 1 / rate + 0.02 < min(gaps) < 1 / rate + 0.35

    def test_below_one_a_second_it_still_goes_on(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=0.25)
        fill(budget, store)
        assert granted(take()) == 1
        assert 3.9 < waited(take()).seconds <= 4.05

    def test_a_wait_not_worth_standing_in_line_for_leaves_the_line(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=0.1)
        assert waited(take(1, "first", max_wait_seconds=5.0)).seconds > 9
        assert store.client.zcard(store.keys.account(ACCOUNT).line) == 0

    def test_a_clock_set_back_grants_nothing(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=10.0)
        key = store.keys.account(ACCOUNT).budget
        store.client.hset(key, mapping={"tokens": 0, "at": f"{store.seconds() + 3600:.6f}"})
        assert waited(take()).seconds == pytest.approx(0.1, abs=0.02)
        assert patiently(take, 1, "me").recipients == 1

    def test_no_window_grants_more_than_burst_and_one_call_and_rate_times_t(
        self, budget: Budget, take: Take
    ) -> None:
        rate, burst, call = 400.0, 0.25, 20
        allows(budget, rate=rate, burst_seconds=burst)
        grants = hammer(take, waiters=12, wanted=call, seconds=1.5)
        assert_no_window_above(grants, rate, rate * burst + call)
        assert sum(count for _, _, count in grants) > 0.95 * rate * 1.5

    def test_nor_with_calls_given_back_and_throttled(self, budget: Budget, take: Take) -> None:
        rate, burst, call = 400.0, 0.25, 20
        allows(budget, rate=rate, burst_seconds=burst, increase_per_second=0.5)

        def after(grant: Grant, turn: int) -> int:
            unsent = 5 if turn % 3 == 0 else 0
            budget.settle(
                ACCOUNT,
                grant,
                counted=grant.recipients - unsent,
                unsent=min(unsent, grant.recipients),
            )
            if turn % 50 == 49:
                budget.throttled(ACCOUNT, factor=0.8, refused=1)
            return grant.recipients - unsent

        grants = hammer(take, waiters=12, wanted=call, seconds=1.0, after=after)
        assert_no_window_above(grants, rate, rate * burst + call)

    def test_what_was_not_sent_is_given_back(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=40.0, quota=100.0)
        fill(budget, store)
        grant = take(10)
        assert isinstance(grant, Grant)
        budget.settle(ACCOUNT, grant, counted=4, unsent=6)
        assert budget.status(ACCOUNT).used == 4
        assert granted(take(6, "next")) == 6

    def test_giving_back_never_overfills_the_bucket(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=40.0)
        fill(budget, store)
        grant = take(10)
        assert isinstance(grant, Grant)
        for _ in range(5):
            budget.settle(ACCOUNT, grant, counted=0, unsent=10)
        assert granted(take(50)) == 10
        assert granted(take(50)) <= 1

    def test_a_repeated_settle_gives_back_once(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=40.0)
        fill(budget, store)
        grant = take(4)
        assert isinstance(grant, Grant)
        assert granted(take(6)) == 6
        for _ in range(2):
            budget.settle(ACCOUNT, grant, counted=0, unsent=4)
        assert granted(take(4)) == 4
        assert granted(take(1)) == 0

    def test_nor_with_somebody_in_line(self, budget: Budget, take: Take, store: Store) -> None:
        """The bucket may hold the first one's call as well, but not all that is given back."""
        allows(budget, rate=40.0)
        fill(budget, store)
        first = take(10)
        take.wait(0.25)
        second = take(10)
        waited(take(10, "next"))
        for grant in (first, second):
            assert isinstance(grant, Grant)
            budget.settle(ACCOUNT, grant, counted=0, unsent=grant.recipients)
        assert granted(take(10, "next")) == 10
        assert granted(take(10)) == 0


class TestLine:
    def test_serves_in_the_order_of_asking(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, rate=100.0)
        order = [f"waiter {number}" for number in range(6)]
        served = in_line(take, [(name, Lane.BULK) for name in order], wanted=10)
        assert served == order

    def test_serves_transactional_before_bulk(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=50.0)
        asking = [(f"bulk {number}", Lane.BULK) for number in range(4)]
        served = in_line(take, [*asking, ("urgent", Lane.TRANSACTIONAL)], wanted=10)
        # The first of the line may be served before the urgent one has asked.
        assert served.index("urgent") <= 1

    def test_nobody_who_comes_later_overtakes(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        """Its tokens have come, but they are those of the one in line."""
        allows(budget, rate=100.0)
        empty(store)
        first = waited(take(20, "first"))
        take.wait(first.seconds + 0.001)
        assert waited(take(20, "second")).why is Why.RATE
        assert granted(take(20, "first")) == 20

    def test_a_dead_waiter_holds_the_others_up_for_a_second_at_most(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=100.0)
        empty(store)
        waited(take(10, "dead"))
        began = take.now
        patiently(take, 10, "alive")
        assert take.now - began < 1.4

    def test_a_waiter_told_to_wait_for_long_is_not_waited_for_either(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=4.0)
        empty(store)
        waited(take(1, "dead", max_wait_seconds=5.0))
        began = take.now
        assert patiently(take, 1, "alive").recipients == 1
        assert take.now - began < 1.6

    def test_many_dead_waiters_do_not_either(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        """They want more than the bucket ever holds: time does not serve those behind them."""
        allows(budget, rate=400.0)
        empty(store)
        for number in range(6):
            waited(take(100, f"dead {number}", max_wait_seconds=5.0))
        began = take.now
        assert patiently(take, 10, "alive").recipients == 10
        assert take.now - began < 4.0

    def test_nobody_starves(self, budget: Budget, take: Take) -> None:
        allows(budget, rate=300.0)
        by: dict[str, int] = {}
        grants = hammer(take, waiters=12, wanted=10, seconds=1.2)
        for _, waiter, count in grants:
            by[waiter] = by.get(waiter, 0) + count
        assert len(by) == 12
        assert max(by.values()) <= 2 * min(by.values()) + 10

    def test_nobody_polls(self, budget: Budget, take: Take) -> None:
        allows(budget, rate=200.0)
        grants = hammer(take, waiters=10, wanted=10, seconds=1.2)
        assert take.asked < 5 * len(grants) + 20


class TestRequests:
    def test_have_a_bucket_of_their_own(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, requests_per_second=2.0)
        fill(budget, store)
        assert granted(take(10, bulk_request=True)) == 10
        answer = waited(take(10, bulk_request=True))
        assert answer.why is Why.REQUESTS
        assert 0.4 < answer.seconds <= 0.5
        assert granted(take(10, "single", bulk_request=False)) == 10

    def test_are_handed_out_in_the_order_of_asking(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        """Tokens are plenty: the line is for requests all the same."""
        allows(budget, requests_per_second=10.0)
        fill(budget, store)
        assert [granted(take(1, bulk_request=True)) for _ in range(2)] == [1, 1]
        order = [f"waiter {number}" for number in range(5)]
        asking = [(name, Lane.BULK) for name in order]
        assert in_line(take, asking, wanted=1, bulk_request=True) == order

    def test_nobody_polls_for_them(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, requests_per_second=10.0)
        grants = hammer(take, waiters=10, wanted=1, seconds=1.5, bulk_request=True)
        assert 10.0 * 1.4 < len(grants) <= 2.5 + 10.0 * 1.5
        assert take.asked < 4 * len(grants) + 20


class TestQuota:
    def test_is_never_passed_in_any_window(self, budget: Budget, take: Take) -> None:
        quota, window = 60, 1.0
        allows(budget, rate=2000.0, quota=float(quota), window_seconds=window, cells=30)
        calls = send_for(take, 3.2, workers=6, wanted=7)
        assert_quota_kept(calls, quota, window)
        assert sum(one.count for one in calls) >= 2 * quota

    def test_a_call_counts_from_its_answer_on(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        """SES dates a mail to some moment of the call: at its end it may have been the last."""
        allows(budget, quota=20.0, window_seconds=60.0, cells=60)
        fill(budget, store)
        grant = take(20)
        assert isinstance(grant, Grant)
        take.wait(30.0)
        budget.settle(ACCOUNT, grant, counted=20, unsent=0)
        take.wait(59.0)
        assert waited(take(20)).why is Why.QUOTA
        take.wait(2.0)
        assert granted(take(20)) == 20

    def test_spent_it_says_when_some_of_it_is_free(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, quota=20.0, window_seconds=60.0, cells=60)
        fill(budget, store)
        assert granted(take(50)) == 20
        answer = waited(take(50))
        assert answer.why is Why.QUOTA
        assert 59 < answer.seconds <= 61

    def test_a_call_gets_what_is_left_of_it(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, quota=23.0)
        fill(budget, store)
        assert granted(take(20)) == 20
        assert granted(take(20)) == 3

    def test_minus_one_is_unlimited(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, rate=1e6, quota=-1.0)
        for _ in range(5):
            fill(budget, store)
            assert granted(take(50_000)) == 50_000

    def test_zero_allows_nobody(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, quota=0.0, refresh_seconds=17.0)
        fill(budget, store)
        answer = waited(take())
        assert (answer.why, answer.seconds) == (Why.QUOTA, 17.0)

    def test_what_others_sent_counts_and_falls_again(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, quota=100.0, sent=90.0)
        fill(budget, store)
        assert granted(take(50)) == 10
        assert waited(take(50)).why is Why.QUOTA
        assert allows(budget, quota=100.0, sent=30.0)
        assert budget.status(ACCOUNT).foreign == 20
        assert granted(take(50)) == 50

    def test_what_only_others_spent_is_asked_about_soon(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        """When it frees is theirs to know: SES tells at the next refresh, not a day later."""
        allows(budget, quota=100.0, sent=0.0)
        fill(budget, store)
        assert granted(take(5)) == 5
        allows(budget, quota=100.0, sent=200.0)
        answer = waited(take(50))
        assert answer.why is Why.QUOTA
        assert answer.seconds <= 30.0

    def test_our_own_count_is_taken_when_it_is_larger(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        """SES is late in counting; what we handed in is sent."""
        allows(budget, quota=100.0, sent=0.0)
        fill(budget, store)
        assert granted(take(60)) == 60
        allows(budget, quota=100.0, sent=5.0)
        fill(budget, store)
        assert granted(take(60)) == 40

    def test_a_grant_not_settled_counts(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, quota=20.0)
        fill(budget, store)
        assert granted(take(20)) == 20
        assert waited(take()).why is Why.QUOTA

    def test_a_settle_whose_reply_was_lost_errs_on_the_safe_side(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, quota=100.0)
        fill(budget, store)
        grant = take(20)
        assert isinstance(grant, Grant)
        for _ in range(2):
            budget.settle(ACCOUNT, grant, counted=20, unsent=0)
        assert budget.status(ACCOUNT).used >= 20

    def test_given_back_twice_takes_nothing_off_what_others_sent(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, quota=100.0, window_seconds=60.0, cells=60)
        fill(budget, store)
        sent = take(20)
        assert isinstance(sent, Grant)
        budget.settle(ACCOUNT, sent, counted=20, unsent=0)
        take.wait(2.0)
        unsent = take(20)
        assert isinstance(unsent, Grant)
        for _ in range(2):
            budget.settle(ACCOUNT, unsent, counted=0, unsent=20)
        assert budget.status(ACCOUNT).used == 20

    def test_counts_on_when_the_slices_are_cut_anew(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, quota=100.0, window_seconds=86_400.0, cells=288)
        fill(budget, store)
        assert granted(take(60)) == 60
        allows(budget, quota=100.0, window_seconds=1.0, cells=10)
        fill(budget, store)
        assert granted(take(60)) == 40
        take.wait(2.0)
        fill(budget, store)
        assert granted(take(100)) == 100

    def test_a_clock_set_back_does_not_count_for_ever(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, quota=20.0, window_seconds=1.0, cells=10)
        fill(budget, store)
        assert granted(take(5)) == 5
        key = store.keys.account(ACCOUNT).budget
        store.client.hset(key, "first", int(store.seconds() / 0.1) + 1000)
        assert granted(take(20)) == 15
        assert any(_frees_later(budget, take, store) for _ in range(40))

    def test_a_part_is_kept_for_transactional_once_it_was_asked_for(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, quota=100.0, reserved_share=0.1)
        fill(budget, store)
        assert granted(take(1, "urgent", lane=Lane.TRANSACTIONAL)) == 1
        assert granted(take(200)) == 89
        assert waited(take(1)).why is Why.QUOTA
        assert granted(take(200, "urgent", lane=Lane.TRANSACTIONAL)) == 10

    def test_bulk_may_use_all_of_it_while_nothing_else_is_sent(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, quota=100.0, reserved_share=0.1)
        fill(budget, store)
        assert granted(take(200)) == 100


class TestWhatSesSays:
    def test_a_raised_rate_is_picked_up(self, budget: Budget, take: Take, store: Store) -> None:
        assert allows(budget, rate=10.0)
        assert not allows(budget, rate=10.0)
        assert allows(budget, rate=80.0)
        fill(budget, store)
        assert granted(take(50)) == 20

    def test_a_lowered_rate_is_picked_up(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, rate=80.0)
        fill(budget, store)
        assert not allows(budget, rate=8.0)
        assert granted(take(50)) == 2
        assert waited(take(2)).seconds <= 0.5

    def test_a_raised_quota_is_picked_up(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, quota=10.0)
        fill(budget, store)
        assert granted(take(50)) == 10
        assert allows(budget, quota=30.0)
        assert granted(take(50)) == 20
        assert allows(budget, quota=-1.0)
        assert granted(take(50)) == 50
        assert not allows(budget, quota=10.0)
        assert waited(take(50)).why is Why.QUOTA


class TestThrottled:
    def test_cuts_the_rate_once_a_second_and_empties_the_bucket(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=100.0, increase_per_second=0.0)
        fill(budget, store)
        take(1)
        cuts = [budget.throttled(ACCOUNT, factor=0.8, refused=3) for _ in range(5)]
        assert cuts == [80.0] * 5
        status = budget.status(ACCOUNT)
        assert (status.rate, status.rate_max, status.throttled) == (80.0, 100.0, 15)
        assert waited(take(10)).why is Why.RATE

    def test_the_bucket_refills_from_the_moment_of_the_throttle(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        """Nothing is credited for the time before it, however long ago the last grant was."""
        allows(budget, rate=100.0, increase_per_second=0.0)
        key = store.keys.account(ACCOUNT).budget
        store.client.hset(key, mapping={"tokens": 0, "at": f"{store.seconds() - 5:.6f}"})
        budget.throttled(ACCOUNT, factor=0.8, refused=1)
        assert waited(take(10)).why is Why.RATE

    def test_never_to_nothing(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, rate=100.0, increase_per_second=0.0)
        key = store.keys.account(ACCOUNT).budget
        for _ in range(40):
            store.client.hset(key, "throttled_at", 0)
            lowest = budget.throttled(ACCOUNT, factor=0.5, refused=1)
        assert lowest == 5.0
        allows(budget, rate=1.0, increase_per_second=0.0)
        for _ in range(40):
            store.client.hset(key, "throttled_at", 0)
            lowest = budget.throttled(ACCOUNT, factor=0.5, refused=1)
        assert lowest == 0.5

    def test_it_grows_back_by_a_share_of_the_full_rate(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=100.0, increase_per_second=0.05)
        key = store.keys.account(ACCOUNT).budget
        take(1)
        budget.throttled(ACCOUNT, factor=0.5, refused=1)
        store.client.hset(key, "at", f"{store.seconds() - 4:.6f}")
        take(1)
        assert budget.status(ACCOUNT).rate == pytest.approx(70.0, abs=1.0)
        store.client.hset(key, "at", f"{store.seconds() - 60:.6f}")
        take(1)
        assert budget.status(ACCOUNT).rate == 100.0

    def test_a_reading_of_ses_does_not_undo_it(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=100.0)
        budget.throttled(ACCOUNT, factor=0.5, refused=1)
        allows(budget, rate=100.0)
        assert budget.status(ACCOUNT).rate == 50.0
        allows(budget, rate=20.0)
        assert budget.status(ACCOUNT).rate == 20.0


def hammer(
    take: Take,
    *,
    waiters: int,
    wanted: int,
    seconds: float,
    after: Callable[[Grant, int], int] | None = None,
    **more: Any,
) -> list[tuple[float, str, int]]:
    """Many who come back when told to, or some ms late; when each grant was given, to whom."""
    grants: list[tuple[float, str, int]] = []
    late, until = Random(6), take.now + seconds
    coming = [(take.now, number, 0) for number in range(waiters)]
    while coming[0][0] < until:
        at, number, turn = heappop(coming)
        take.wait_until(at)
        answer = take(wanted, f"waiter {number}", **more)
        if isinstance(answer, Wait):
            back = take.now + answer.seconds + late.uniform(0, 0.005)
            heappush(coming, (back, number, turn))
            continue
        count = answer.recipients if after is None else after(answer, turn)
        grants.append((take.now, f"waiter {number}", count))
        heappush(coming, (take.now, number, turn + 1))
    return grants


def assert_no_window_above(grants: list[tuple[float, str, int]], rate: float, burst: float) -> None:
    for first, (began, _, _) in enumerate(grants):
        total = 0
        for at, _, count in grants[first:]:
            total += count
            assert total <= burst + rate * (at - began) + 1, (at, total)


@dataclass
class Call:
    """Recipients that SES took at some moment between asking for them and the answer."""

    count: int
    asked: float
    answered: float


def send_for(take: Take, seconds: float, *, workers: int, wanted: int) -> list[Call]:
    """Workers whose calls last up to a fifth of a second, each settled when it is answered."""
    calls: list[Call] = []
    lasts, until = Random(6), take.now + seconds
    coming = [Coming(take.now, number) for number in range(workers)]
    while coming[0].at < until:
        one = heappop(coming)
        take.wait_until(one.at)
        if one.grant is not None:
            take.budget.settle(ACCOUNT, one.grant, counted=one.grant.recipients, unsent=0)
        answer = take(wanted, f"waiter {one.number}")
        if isinstance(answer, Wait):
            heappush(coming, Coming(take.now + min(answer.seconds, 0.5), one.number))
            continue
        ends = take.now + lasts.uniform(0, 0.2)
        calls.append(Call(answer.recipients, take.now, ends))
        heappush(coming, Coming(ends, one.number, answer))
    return calls


@dataclass(order=True)
class Coming:
    """When a worker asks next, and what it has to settle before."""

    at: float
    number: int
    grant: Grant | None = field(default=None, compare=False)


def assert_quota_kept(calls: list[Call], quota: int, window: float) -> None:
    """Whenever within its call SES counts a mail: no window may hold more than the quota."""
    for last in calls:
        counted = [
            one.count
            for one in calls
            if one.asked <= last.asked and one.answered > last.asked - window
        ]
        assert sum(counted) <= quota


def in_line(take: Take, asking: list[tuple[str, Lane]], *, wanted: int, **more: Any) -> list[str]:
    """Let each ask in turn, then come back as told; who was served, in order."""
    served: list[str] = []
    coming: list[tuple[float, int]] = []
    for number, (name, lane) in enumerate(asking):
        answer = waited(take(wanted, name, lane=lane, **more))
        heappush(coming, (take.now + answer.seconds, number))
    while coming:
        at, number = heappop(coming)
        name, lane = asking[number]
        take.wait_until(at)
        again = take(wanted, name, lane=lane, **more)
        if isinstance(again, Wait):
            heappush(coming, (take.now + again.seconds, number))
        else:
            served.append(name)
    return served


def _frees_later(budget: Budget, take: Take, store: Store) -> bool:
    take.wait(0.1)
    fill(budget, store)
    return granted(take(20)) == 20


class TestTurns:
    def test_a_campaign_with_many_waiters_gets_no_more_than_one_with_few(
        self, budget: Budget, take: Take
    ) -> None:
        allows(budget, rate=100.0, burst_seconds=0.2)
        for number in range(10):
            waited(take(10, f"many {number}", campaign_id="many"))
        # In order of asking it would be after ten calls: more than a second.
        assert waited(take(10, "few", campaign_id="few")).seconds < 0.35

    def test_a_heavier_campaign_is_served_more_often(self, budget: Budget, take: Take) -> None:
        allows(budget, rate=2_000.0, burst_seconds=0.1)
        served = {"heavy": 0, "light": 0}
        waiting = {f"{name} {n}": name for n in range(6) for name in served}
        for _ in range(300):
            take.wait(0.005)
            for waiter, name in waiting.items():
                weight = 3.0 if name == "heavy" else 1.0
                served[name] += granted(take(20, waiter, campaign_id=name, weight=weight))
        assert 2 < served["heavy"] / served["light"] < 4

    def test_being_away_earns_nothing(self, budget: Budget, take: Take) -> None:
        allows(budget, rate=1_000.0, burst_seconds=0.02)
        patiently(take, 10, "back", campaign_id="back")
        for _ in range(30):
            patiently(take, 10, "there", campaign_id="there")
        waited(take(20, "there", campaign_id="there"))
        first = waited(take(20, "back", campaign_id="back"))
        second = waited(take(20, "back too", campaign_id="back"))
        # One turn before the other campaign's, not thirty.
        assert second.seconds > first.seconds + 0.03
