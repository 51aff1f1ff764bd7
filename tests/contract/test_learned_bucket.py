"""How much SES takes at once is learned, and told from a rate that others use.

SES's own bucket is modelled beside a Redis whose clock is ours: minutes pass in seconds.
"""

from collections.abc import Callable

import pytest

from postroom.model import Lane
from postroom.store.budget import Ask, Budget, Grant
from postroom.store.connection import Store
from tests.contract.test_budget import ACCOUNT, Take, allows, empty, fill, granted
from tests.support.modelled_ses import ModelledSes
from tests.support.redis_clock import ClockedStore

Sending = Callable[..., ModelledSes]


@pytest.fixture
def budget(store: ClockedStore) -> Budget:
    store.stop_the_clock()
    return Budget(store)


@pytest.fixture
def take(budget: Budget, store: ClockedStore) -> Take:
    return Take(budget, store)


@pytest.fixture
def sending(budget: Budget, store: ClockedStore) -> Sending:
    """Send at a rate to an SES whose bucket holds so many seconds of it."""

    def make(rate: float, bucket_seconds: float, *, others: float = 0.0) -> ModelledSes:
        allows(budget, rate=rate)
        return ModelledSes(
            budget=budget,
            store=store,
            account=ACCOUNT,
            rate=rate,
            bucket_seconds=bucket_seconds,
            others=others,
        )

    return make


def burst(budget: Budget) -> float:
    return budget.status(ACCOUNT).burst_seconds


def refuse(budget: Budget, grant: Grant, refused: int) -> None:
    """SES took the rest of a call."""
    budget.settle(ACCOUNT, grant, counted=grant.recipients - refused, unsent=0)
    budget.throttled(ACCOUNT, factor=0.8, refused=refused, drawn=grant.drawn)


def drawn_at_once(take: Take, wanted: int) -> Grant:
    answer = take(wanted)
    assert isinstance(answer, Grant), answer
    return answer


class TestSmallBucket:
    @pytest.mark.parametrize(
        ("rate", "bucket_seconds"), [(200.0, 0.2), (200.0, 0.05), (50.0, 0.2), (1000.0, 0.05)]
    )
    def test_the_rate_is_held_after_twenty_seconds_and_hardly_anybody_refused(
        self, sending: Sending, rate: float, bucket_seconds: float
    ) -> None:
        ses = sending(rate, bucket_seconds)
        ses.send_for(20)
        seen = ses.send_for(40)
        assert seen.rate > 0.98 * rate
        assert seen.refused_share < 0.002

    def test_a_refusal_leaves_the_rate_and_lets_less_go_at_once(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=200.0)
        fill(budget, store)
        refuse(budget, drawn_at_once(take, 50), refused=10)
        assert budget.status(ACCOUNT).rate == 200.0
        # 40 were taken: with the call that the bucket may overfill by, no more go at once again.
        assert burst(budget) == pytest.approx(0.08)

    def test_ses_has_time_to_refill_its_bucket(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=200.0)
        fill(budget, store)
        refuse(budget, drawn_at_once(take, 50), refused=10)
        wait = take(50)
        assert not isinstance(wait, Grant)
        assert wait.seconds == pytest.approx((40 + 16) / 200, abs=0.01)

    def test_those_refused_have_drawn_nothing(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=200.0)
        fill(budget, store)
        grant = drawn_at_once(take, 20)
        budget.settle(ACCOUNT, grant, counted=5, unsent=0)
        assert (grant.drawn, drawn_at_once(take, 10).drawn) == (20, 15)

    def test_calls_in_flight_at_the_same_moment_are_one_refusal(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=200.0)
        fill(budget, store)
        grants = [drawn_at_once(take, 25) for _ in range(2)]
        for grant in grants:
            refuse(budget, grant, refused=5)
        assert (burst(budget), budget.status(ACCOUNT).rate) == (pytest.approx(0.04), 200.0)

    def test_it_grows_back_when_ses_takes_more_again(
        self, budget: Budget, sending: Sending
    ) -> None:
        ses = sending(200.0, 0.2)
        ses.send_for(20)
        small = burst(budget)
        ses.set_bucket(1.0)
        for _ in range(3):
            assert ses.send_for(60).refused == 0
        assert 1.2 * small < burst(budget) < 0.25

    def test_what_is_not_used_shows_nothing(
        self, budget: Budget, take: Take, store: ClockedStore
    ) -> None:
        allows(budget, rate=200.0)
        fill(budget, store)
        refuse(budget, drawn_at_once(take, 50), refused=10)
        store.pass_time(3600)
        drawn_at_once(take, 50)
        for _ in range(100):  # Messages: one at a time is little.
            store.pass_time(0.5)
            drawn_at_once(take, 1)
        assert burst(budget) == pytest.approx(0.08, rel=0.01)


class TestOthersUseTheRate:
    def test_the_rate_is_cut_and_what_goes_at_once_is_kept(
        self, budget: Budget, sending: Sending
    ) -> None:
        ses = sending(200.0, 1.0, others=0.5)
        ses.send_for(20)
        seen = ses.send_for(40)
        assert seen.rate == pytest.approx(100.0, rel=0.05)
        assert seen.refused_share < 0.03
        assert burst(budget) > 0.2

    def test_with_a_small_bucket_as_well_their_share_is_left_to_them(
        self, sending: Sending
    ) -> None:
        ses = sending(200.0, 0.2, others=0.5)
        ses.send_for(20)
        seen = ses.send_for(40)
        assert seen.rate == pytest.approx(100.0, rel=0.05)
        assert seen.refused_share < 0.03

    def test_one_at_a_time_is_never_too_much_at_once(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=200.0, increase_per_second=0.0)
        empty(store)
        take.wait(0.01)
        refuse(budget, drawn_at_once(take, 1), refused=1)
        assert (budget.status(ACCOUNT).rate, burst(budget)) == (160.0, 0.25)

    def test_nor_is_what_goes_at_once_at_the_least(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        """50 are half a millisecond of this rate: no bucket is so small."""
        allows(budget, rate=1e5, increase_per_second=0.0)
        fill(budget, store)
        refuse(budget, drawn_at_once(take, 50), refused=20)
        assert (budget.status(ACCOUNT).rate, burst(budget)) == (8e4, 0.25)


class TestLargerCalls:
    def test_below_fifty_a_second_they_grow_while_ses_takes_them(
        self, budget: Budget, sending: Sending
    ) -> None:
        ses = sending(14.0, 1.0)
        first = ses.send_for(10)
        ses.send_for(50)
        later = ses.send_for(10)
        assert first.calls >= 2 * later.calls
        assert later.accepted == pytest.approx(14 * 10, abs=14)
        assert later.refused == 0

    def test_once_refused_they_grow_slowly(self, budget: Budget, sending: Sending) -> None:
        ses = sending(14.0, 0.3)
        while not ses.send_for(1).refused:
            assert burst(budget) < 0.5, "it is never refused"
        learned = burst(budget)
        ses.send_for(40)
        assert burst(budget) < 1.2 * learned

    def test_never_more_than_half_a_second_goes_beyond_the_rate(
        self, budget: Budget, sending: Sending
    ) -> None:
        ses = sending(40.0, 1.0)
        seen = [ses.send_for(60) for _ in range(7)]
        assert max(one.most_over_rate for one in seen) <= 40 * 0.5 + 1
        assert burst(budget) == pytest.approx(0.5)

    def test_whole_calls_need_no_larger_bucket(self, budget: Budget, sending: Sending) -> None:
        ses = sending(400.0, 1.0)
        ses.send_for(60)
        assert burst(budget) == 0.25


class TestKept:
    def test_a_reading_of_ses_and_another_process_keep_what_was_learned(
        self, budget: Budget, take: Take, store: Store
    ) -> None:
        allows(budget, rate=200.0)
        fill(budget, store)
        refuse(budget, drawn_at_once(take, 50), refused=10)
        allows(budget, rate=200.0)
        assert Budget(store).status(ACCOUNT).burst_seconds == pytest.approx(0.08)

    def test_another_setting_begins_anew(self, budget: Budget, take: Take, store: Store) -> None:
        allows(budget, rate=200.0)
        fill(budget, store)
        refuse(budget, drawn_at_once(take, 50), refused=10)
        allows(budget, rate=200.0, burst_seconds=0.1)
        assert burst(budget) == 0.1


def test_a_grant_costs_the_same_beside_many_campaigns(budget: Budget, store: Store) -> None:
    """Their finish tags all count: each was served, and none is behind what is served now."""
    allows(budget, rate=1e6)

    def cpu_of_a_grant(campaigns: range) -> float:
        before = store.client.info("commandstats")["cmdstat_evalsha"]["usec"]
        for number in campaigns:
            ask = Ask(
                waiter="me",
                wanted=1,
                lane=Lane.BULK,
                bulk_request=False,
                campaign_id=f"c{number}",  # type: ignore[arg-type]
                weight=1.0,
            )
            fill(budget, store)
            assert granted(budget.take(ACCOUNT, ask, max_wait_seconds=5.0))
        after = store.client.info("commandstats")["cmdstat_evalsha"]["usec"]
        return float(after - before) / len(campaigns)

    few = cpu_of_a_grant(range(200))
    cpu_of_a_grant(range(200, 3_000))
    assert cpu_of_a_grant(range(3_000, 3_200)) < 5 * few
