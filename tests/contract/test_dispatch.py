"""Dispatch: never more out than the workers have room for, and everybody's fair turn."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pytest

from postroom.model import AccountName, BatchRef, CampaignId, Lane
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch, Route, Turn
from tests.support import campaigns
from tests.support.campaigns import ACCOUNT, PreparedCampaign
from tests.support.redis_clock import ClockedStore
from tests.support.waiting import wait_until

Make = Callable[..., PreparedCampaign]
OTHER = AccountName("other")


@pytest.fixture
def dispatch(store: Store, settings: Settings) -> Dispatch:
    line = Dispatch(store, settings)
    line.announce("worker", {Lane.BULK: 4, Lane.TRANSACTIONAL: 4})
    return line


@pytest.fixture
def make(store: Store, settings: Settings, dispatch: Dispatch) -> Make:
    """Make a campaign of many small batches, and wake it."""

    def made(recipients: int = 100, *, batch_size: int = 2, **more: object) -> PreparedCampaign:
        one = campaigns.make(store, settings, recipients, batch_size=batch_size, **more)
        dispatch.wake(one.route)
        return one

    return made


def let_out(line: Dispatch, lane: Lane = Lane.BULK, account: AccountName = ACCOUNT) -> list[str]:
    """Release all there is room for; the campaign of each batch, in order."""
    out: list[str] = []
    for turn in line.pick(account, lane):
        due = line.release(turn)
        line.place(line.route(turn.campaign_id), turn, due, lane)
        out += [turn.campaign_id] * len(due.numbers)
    return out


def out(store: Store, lane: Lane = Lane.BULK) -> int:
    return store.client.zcard(store.keys.dispatch(f"out:{lane}"))


def end_all(store: Store, line: Dispatch, route_of: dict[str, Route], *, sent: int) -> None:
    members = store.client.zrange(store.keys.dispatch("out:bulk"), 0, -1)
    for member in members:
        _, _, campaign, number = member.decode().split("|")
        ref = BatchRef(campaign_id=CampaignId(campaign), number=int(number))
        line.ended(route_of[campaign], ref, sent=sent)


class TestRoom:
    def test_nothing_goes_without_workers(self, dispatch: Dispatch, make: Make) -> None:
        make()
        dispatch.retire("worker")
        assert dispatch.pick(ACCOUNT, Lane.BULK) == []

    def test_only_as_much_as_they_have_slots(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        make()
        dispatch.announce("second", {Lane.BULK: 3, Lane.TRANSACTIONAL: 3})
        assert len(let_out(dispatch)) == 7
        assert let_out(dispatch) == []
        assert out(store) == 7

    def test_is_that_of_the_workers_that_serve_the_account(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        make()
        other = make(account=OTHER)
        dispatch.retire("worker")
        slots = {Lane.BULK: 4, Lane.TRANSACTIONAL: 4}
        dispatch.announce("both", slots, serving=[ACCOUNT, OTHER])
        dispatch.announce("other alone", slots, serving=[OTHER])
        assert len(let_out(dispatch)) == 4
        assert let_out(dispatch, account=OTHER) == [other.id] * 4
        assert let_out(dispatch) == let_out(dispatch, account=OTHER) == []

    def test_is_not_taken_for_a_campaign_that_the_picker_cannot_send(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        first, second = make(), make()
        picked = dispatch.pick(ACCOUNT, Lane.BULK, but=[first.id])
        assert {turn.campaign_id for turn in picked} == {second.id}
        assert sum(len(turn.tickets) for turn in picked) == 4

    def test_is_for_no_account_whose_name_only_begins_like_one_that_is_served(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        make()
        dispatch.announce("worker", {Lane.BULK: 4}, serving=[AccountName("main2")])
        assert let_out(dispatch) == []

    def test_is_made_by_a_batch_that_comes_back(self, dispatch: Dispatch, make: Make) -> None:
        made = make()
        let_out(dispatch)
        dispatch.ended(made.route, made.ref(0), sent=2)
        assert len(let_out(dispatch)) == 1

    def test_is_kept_with_many_pickers_at_once(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        make(400)
        make(400)
        dispatch.announce("worker", {Lane.BULK: 25, Lane.TRANSACTIONAL: 4})
        with ThreadPoolExecutor(8) as pickers:
            found = list(pickers.map(lambda _: len(let_out(dispatch)), range(40)))
        assert sum(found) == 25 == out(store)

    def test_no_batch_is_released_twice_by_many_pickers(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        made = make(100)
        turn = Turn(campaign_id=made.id, tickets=tuple(map(str, range(3))), wakes="1")
        with ThreadPoolExecutor(8) as pickers:
            dues = list(pickers.map(lambda _: dispatch.release(turn).numbers, range(20)))
        numbers = [number for due in dues for number in due]
        assert sorted(numbers) == list(made.numbers)

    def test_of_a_ticket_whose_picker_died_comes_back(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        make()
        store.stop_the_clock()
        dispatch.pick(ACCOUNT, Lane.BULK)
        assert dispatch.pick(ACCOUNT, Lane.BULK) == []
        key = store.keys.dispatch("out:bulk")
        lapses = [
            score - store.seconds() for _, score in store.client.zrange(key, 0, -1, withscores=True)
        ]
        assert lapses == pytest.approx([10] * 4, abs=0.001)
        store.pass_time(11)
        dispatch.announce("worker", {Lane.BULK: 4, Lane.TRANSACTIONAL: 4})
        assert len(let_out(dispatch)) == 4

    def test_of_a_batch_that_nobody_ended_comes_back_after_a_lease(
        self, dispatch: Dispatch, make: Make, store: Store, settings: Settings
    ) -> None:
        make()
        let_out(dispatch)
        key = store.keys.dispatch("out:bulk")
        _age(store, key, settings.worker.lease_seconds - 2)
        assert let_out(dispatch) == []
        _age(store, key, 3)
        assert len(let_out(dispatch)) == 4

    def test_of_a_worker_lapses_with_its_announcement(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        make()
        store.client.hset(
            store.keys.dispatch("slots:bulk"), "dead", f"100|{store.seconds() - 1:.3f}"
        )
        assert len(let_out(dispatch)) == 4
        assert not store.client.hexists(store.keys.dispatch("slots:bulk"), "dead")

    def test_of_an_account_has_its_own_limit(self, dispatch: Dispatch, make: Make) -> None:
        slow, fast = make(), make(account=OTHER)
        dispatch.limit(ACCOUNT, Lane.BULK, 1)
        assert let_out(dispatch) == [slow.id]
        assert let_out(dispatch, account=OTHER) == [fast.id] * 3

    def test_bulk_takes_none_of_what_is_kept_for_transactional(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        make()
        urgent = make(lane=Lane.TRANSACTIONAL)
        dispatch.announce("worker", {Lane.BULK: 3, Lane.TRANSACTIONAL: 4})
        assert len(let_out(dispatch)) == 3
        assert let_out(dispatch, Lane.TRANSACTIONAL) == [urgent.id] * 4
        assert dispatch.lanes()[0] == (ACCOUNT, Lane.TRANSACTIONAL)


class TestTurns:
    def shares(
        self,
        store: Store,
        line: Dispatch,
        among: list[PreparedCampaign],
        *,
        rounds: int,
        sent: int = 2,
    ) -> Counter[str]:
        counts: Counter[str] = Counter()
        routes = {one.id: one.route for one in among}
        for _ in range(rounds):
            counts.update(let_out(line))
            end_all(store, line, routes, sent=sent)
        return counts

    def test_are_fair_by_weight(self, dispatch: Dispatch, make: Make, store: Store) -> None:
        light, heavy = make(400), make(400, weight=3.0)
        counts = self.shares(store, dispatch, [light, heavy], rounds=20)
        assert counts.total() == 80
        assert abs(counts[heavy.id] - 60) <= 4

    def test_are_fair_by_recipients_not_by_batches(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        large, small = make(400, batch_size=6), make(400, batch_size=2)
        routes = {one.id: one.route for one in (large, small)}
        counts: Counter[str] = Counter()
        for _ in range(16):
            counts.update(let_out(dispatch))
            for one in (large, small):
                for number in one.numbers:
                    dispatch.ended(one.route, one.ref(number), sent=one.route.batch_size)
        assert set(counts) == set(routes)
        assert abs(counts[small.id] - 3 * counts[large.id]) <= 8

    def test_charge_what_was_sent_not_what_was_let_out(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        idle, busy = make(200), make(200)
        counts: Counter[str] = Counter()
        for _ in range(10):
            counts.update(let_out(dispatch))
            for number in range(100):
                dispatch.ended(idle.route, idle.ref(number), sent=0)
                dispatch.ended(busy.route, busy.ref(number), sent=2)
        assert counts[idle.id] > 2 * counts[busy.id]

    def test_of_a_newcomer_start_where_the_others_are(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        """It neither takes all turns until it has caught up, nor waits for the others."""
        old = make(400)
        self.shares(store, dispatch, [old], rounds=20)
        new = make(400)
        counts = self.shares(store, dispatch, [old, new], rounds=5)
        assert abs(counts[new.id] - counts[old.id]) <= 4

    def test_are_not_gained_by_a_rest(self, dispatch: Dispatch, make: Make, store: Store) -> None:
        one, other = make(400), make(400)
        self.shares(store, dispatch, [one, other], rounds=5)
        dispatch.drop(one.id, ACCOUNT, Lane.BULK)
        self.shares(store, dispatch, [other], rounds=10)
        dispatch.wake(one.route)
        counts = self.shares(store, dispatch, [one, other], rounds=5)
        assert abs(counts[one.id] - counts[other.id]) <= 4

    def test_are_not_forgotten_in_a_rest(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        """Else a campaign that now and then has nothing due is served before all others."""
        large, small = make(400, batch_size=100), make(400, batch_size=2)
        assert large.id in let_out(dispatch)
        due = store.keys.campaign(large.id).due
        later = {number: store.seconds() + 3600 for number in large.numbers}
        store.client.zadd(due, later)
        for one in (large, small):
            for number in one.numbers:
                dispatch.ended(one.route, one.ref(number), sent=one.route.batch_size)
        while large.id in {one.decode() for one in _in_line(store)}:
            let_out(dispatch)
            end_all(store, dispatch, {one.id: one.route for one in (large, small)}, sent=2)
        store.client.zadd(due, dict.fromkeys(later, 1))
        dispatch.wake(large.route)
        assert let_out(dispatch) == [small.id] * 4

    def test_of_a_hundred_small_campaigns_all_come(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        giant = make(400)
        small = [make(2) for _ in range(20)]
        counts = self.shares(store, dispatch, [giant, *small], rounds=12)
        assert all(counts[one.id] == 1 for one in small)


class TestRest:
    def test_a_campaign_with_nothing_due_leaves_the_line_until_it_is_woken(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        made = make(4)
        assert len(let_out(dispatch)) == 2
        for number in made.numbers:
            dispatch.ended(made.route, made.ref(number), sent=2)
        assert let_out(dispatch) == []
        assert dispatch.pick(ACCOUNT, Lane.BULK) == []
        dispatch.wake(made.route)
        assert len(dispatch.pick(ACCOUNT, Lane.BULK)) == 1

    def test_one_that_was_woken_meanwhile_stays(self, dispatch: Dispatch, make: Make) -> None:
        made = make()
        made.set(steer="paused")
        [turn] = dispatch.pick(ACCOUNT, Lane.BULK)
        due = dispatch.release(turn)
        assert (due.numbers, due.next_ms) == ((), -2)
        made.set(steer="")
        dispatch.wake(made.route)
        dispatch.place(made.route, turn, due, Lane.BULK)
        assert len(let_out(dispatch)) == 4

    def test_one_that_was_dropped_and_woken_meanwhile_stays(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        made = make()
        made.set(steer="paused")
        [turn] = dispatch.pick(ACCOUNT, Lane.BULK)
        due = dispatch.release(turn)
        dispatch.drop(made.id, ACCOUNT, Lane.BULK)
        made.set(steer="")
        dispatch.wake(made.route)
        dispatch.place(made.route, turn, due, Lane.BULK)
        assert len(let_out(dispatch)) == 4

    def test_one_that_waits_for_its_time_sleeps(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        made = make()
        store.stop_the_clock()
        made.set(send_at=store.seconds() + 0.2)
        assert let_out(dispatch) == []
        assert dispatch.sleepers() == []
        store.pass_time(0.201)  # Redis keeps it to the millisecond.
        assert dispatch.sleepers() == [made.route]
        dispatch.wake(made.route)
        assert dispatch.sleepers() == []
        assert len(let_out(dispatch)) == 4

    def test_no_rest_is_longer_than_a_few_seconds(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        """A batch may come back early; and nobody tells the line of it."""
        made = make()
        store.stop_the_clock()
        made.set(send_at=store.seconds() + 3600)
        let_out(dispatch)
        until = store.client.zscore(store.keys.dispatch("asleep"), made.id)
        assert until - store.seconds() == pytest.approx(5, abs=0.001)

    def test_one_whose_records_are_gone_leaves_no_trace(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        made = make()
        store.client.delete(*store.keys.campaign(made.id).all())
        assert let_out(dispatch) == []
        assert dispatch.route(made.id) is None
        assert dispatch.sleepers() == []
        assert out(store) == 0

    def test_dropped_it_leaves_no_trace(self, dispatch: Dispatch, make: Make, store: Store) -> None:
        made = make()
        dispatch.drop(made.id, ACCOUNT, Lane.BULK)
        assert dispatch.pick(ACCOUNT, Lane.BULK) == []
        for name in ("routes", "wakes", "clocks"):
            assert not store.client.hexists(store.keys.dispatch(name), made.id)

    @pytest.mark.parametrize(
        "route",
        [
            {"lane": Lane.TRANSACTIONAL},
            {"weight": 0.25},
            {"account": AccountName("eu-prod_2")},
        ],
    )
    def test_a_route_is_kept_as_it_is(
        self, dispatch: Dispatch, make: Make, route: dict[str, object]
    ) -> None:
        wanted = replace(make().route, **route)
        dispatch.wake(wanted)
        assert dispatch.route(wanted.campaign_id) == wanted


class TestHold:
    def test_nothing_of_a_held_account_goes_until_it_is_let_go(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        make()
        other = make(account=OTHER)
        store.stop_the_clock()
        dispatch.hold(ACCOUNT, Lane.BULK, seconds=60, reason="quota spent")
        assert let_out(dispatch) == []
        why = dispatch.held(ACCOUNT, Lane.BULK)
        assert why is not None
        assert why[0] == "quota spent"
        assert why[1] - store.seconds() == pytest.approx(60, abs=0.001)
        assert let_out(dispatch, account=OTHER) == [other.id] * 4
        dispatch.retire("worker")
        dispatch.announce("worker", {Lane.BULK: 6, Lane.TRANSACTIONAL: 6})
        dispatch.release_hold(ACCOUNT)
        assert dispatch.held(ACCOUNT, Lane.BULK) is None
        assert len(let_out(dispatch)) == 2

    def test_written_after_the_account_was_let_go_it_ends_by_itself(
        self, dispatch: Dispatch, store: Store, settings: Settings
    ) -> None:
        """Whoever learned "for a day" may write it after another saw the raised quota."""
        dispatch.release_hold(ACCOUNT)
        dispatch.hold(ACCOUNT, Lane.BULK, seconds=86_400, reason="quota spent")
        left_ms = store.client.pttl(store.keys.turns(ACCOUNT, Lane.BULK).hold)
        assert 0 < left_ms <= 2 * settings.limiter.refresh_seconds * 1000
        held = dispatch.held(ACCOUNT, Lane.BULK)
        assert held is not None
        assert 86_000 < held[1] - store.seconds() <= 86_400.01

    def test_ends_by_itself(self, dispatch: Dispatch, make: Make) -> None:
        make()
        dispatch.hold(ACCOUNT, Lane.BULK, seconds=0.5, reason="the rate")
        assert let_out(dispatch) == []
        wait_until(lambda: let_out(dispatch), "the hold ends")

    def test_holds_one_lane(self, dispatch: Dispatch, make: Make) -> None:
        urgent = make(lane=Lane.TRANSACTIONAL)
        dispatch.hold(ACCOUNT, Lane.BULK, seconds=60, reason="quota spent")
        assert let_out(dispatch, Lane.TRANSACTIONAL) == [urgent.id] * 4


class TestGrace:
    def test_a_batch_that_never_reached_the_broker_is_released_again(
        self, make: Make, store: ClockedStore, settings: Settings
    ) -> None:
        store.stop_the_clock()
        quick = msgspec.structs.replace(
            settings, dispatch=msgspec.structs.replace(settings.dispatch, grace_seconds=0.2)
        )
        line, made = Dispatch(store, quick), make(4)
        [turn] = line.pick(ACCOUNT, Lane.BULK)
        first = line.release(turn)
        assert first.numbers == (0, 1)
        assert line.release(turn).numbers == ()
        store.pass_time(0.201)  # Redis keeps it to the millisecond.
        assert _due(made)
        assert set(line.release(turn).numbers) == {0, 1}

    def test_says_when_the_next_one_is_due(self, dispatch: Dispatch, make: Make) -> None:
        make(4)
        [turn] = dispatch.pick(ACCOUNT, Lane.BULK)
        dispatch.release(turn)
        assert 50_000 < dispatch.release(turn).next_ms <= 60_001

    def test_what_was_begun_goes_before_what_was_not(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        one = make(20)
        keys = store.keys.campaign(one.id)
        lapsed = {"7": store.seconds() - 1, "8": store.seconds() - 2}
        store.client.zadd(keys.due, lapsed)
        [turn] = dispatch.pick(ACCOUNT, Lane.BULK)
        assert dispatch.release(turn).numbers == (8, 7, 0, 1)


def _due(made: PreparedCampaign) -> bool:
    return all((made.due(number) or 0) <= made.store.seconds() for number in made.numbers)


def _in_line(store: Store) -> list[bytes]:
    return store.client.zrange(store.keys.turns(ACCOUNT, Lane.BULK).turns, 0, -1)


def _age(store: Store, key: str, seconds: float) -> None:
    """Let so many seconds pass for the members of a sorted set of times."""
    for member, score in store.client.zrange(key, 0, -1, withscores=True):
        store.client.zadd(key, {member: score - seconds})
