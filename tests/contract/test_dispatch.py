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
from postroom.store.handed_out import MAY_NOT_SEND
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
    """Release all there is room for; the mailing of each batch on an account and lane, in order."""
    out: list[str] = []
    turns = line.pick(serves=[account])
    found = list(zip(turns, line.release(*turns), strict=True))
    line.place(found)
    for turn, due in found:
        if turn.route.lane is lane:
            out += [turn.campaign_id] * len(due.numbers)
    return out


def sleepers(line: Dispatch) -> int:
    """Wake those whose moment has come; return how many."""
    return line.wake_sleepers()[0]


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
        assert dispatch.pick() == []

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
        picked = dispatch.pick(but=[first.id])
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
        turn = Turn(route=made.route, tickets=tuple(map(str, range(3))), wakes="1")
        with ThreadPoolExecutor(8) as pickers:
            dues = list(pickers.map(lambda _: dispatch.release(turn)[0].numbers, range(20)))
        numbers = [number for due in dues for number in due]
        assert sorted(numbers) == list(made.numbers)

    def test_of_a_ticket_whose_picker_died_comes_back(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        make()
        store.stop_the_clock()
        dispatch.pick()
        assert dispatch.pick() == []
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
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        make()
        store.stop_the_clock()
        dispatch.announce("dead", {Lane.BULK: 100})
        dispatch.drop(make(2).id)
        store.pass_time(5)
        dispatch.announce("worker", {Lane.BULK: 4, Lane.TRANSACTIONAL: 4})
        dispatch.pick(serves=[OTHER])
        assert store.client.hget(store.keys.dispatch("room:bulk"), "all") == b"104"
        store.pass_time(5.001)
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
        turns = dispatch.pick()
        counts = [(turn.route.lane, len(turn.tickets)) for turn in turns]
        assert counts == [(Lane.TRANSACTIONAL, 4), (Lane.BULK, 3)]
        assert turns[0].campaign_id == urgent.id
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
        dispatch.drop(one.id)
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


class TestAccounts:
    def test_take_turns_by_the_time_for_which_they_hold_slots(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        """A slow account holds a slot for ten times as long as another, and gets a tenth of the
        batches: an equal part of the room.
        """
        slow, fast = make(400), make(400, account=OTHER)
        routes = {one.id: one.route for one in (slow, fast)}
        store.stop_the_clock()
        dispatch.announce("worker", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
        counts: Counter[str] = Counter()
        for _ in range(44):
            [turn] = dispatch.pick(own=True)
            counts[turn.campaign_id] += 1
            store.pass_time(2.0 if turn.campaign_id == slow.id else 0.2)
            dispatch.announce("worker", {Lane.BULK: 1, Lane.TRANSACTIONAL: 1})
            dispatch.do([dispatch.ending(routes[turn.campaign_id], turn.tickets[0], sent=2)])
        assert counts.total() == 44
        assert 3 <= counts[slow.id] <= 6

    def test_alternate_where_they_are_alike(self, dispatch: Dispatch, make: Make) -> None:
        for name in ("a", "b", "c", "d"):
            make(400, account=AccountName(name))
        dispatch.announce("worker", {Lane.BULK: 16, Lane.TRANSACTIONAL: 16})
        turns = dispatch.pick()
        assert [len(turn.tickets) for turn in turns] == [4, 4, 4, 4]

    def test_one_that_comes_late_starts_where_the_others_are(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        dispatch.announce("worker", {Lane.BULK: 60, Lane.TRANSACTIONAL: 60})
        make(400)
        assert len(dispatch.pick(at_most=30)[0].tickets) == 30
        make(400, account=OTHER)
        counts = {turn.route.account: len(turn.tickets) for turn in dispatch.pick(at_most=20)}
        assert 9 <= counts[ACCOUNT] <= 11

    def test_that_cannot_go_are_asked_once_and_come_back_with_room(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        made = [make(8, account=AccountName(f"a{number}")) for number in range(3)]
        ready = store.keys.dispatch("ready:bulk")
        dispatch.hold(AccountName("a0"), Lane.BULK, seconds=60, reason="quota spent")
        dispatch.limit(AccountName("a1"), Lane.BULK, 1)
        dispatch.announce("worker", {Lane.BULK: 40, Lane.TRANSACTIONAL: 40})
        [first, last] = dispatch.pick()
        assert len(first.tickets) == 1
        assert [one.decode() for one in store.client.zrange(ready, 0, -1)] == ["a2"]
        # What is left of the room is no account's but the one that has no limit.
        assert len(last.tickets) == 39
        dispatch.do([dispatch.ending(made[1].route, first.tickets[0], sent=2)])
        dispatch.release_hold(AccountName("a0"))
        assert store.client.zcard(ready) == 3

    def test_without_room_have_some_when_a_worker_comes(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        make(400)
        dispatch.announce("worker", {Lane.BULK: 4}, serving=[OTHER])
        assert dispatch.pick() == []
        dispatch.announce("second", {Lane.BULK: 2}, serving=[ACCOUNT])
        [turn] = dispatch.pick()
        assert len(turn.tickets) == 2

    def test_that_the_picker_does_not_serve_keep_their_turn(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        make()
        other = make(account=OTHER)
        [turn] = dispatch.pick(at_most=1, serves=[OTHER])
        assert turn.campaign_id == other.id
        [turn] = dispatch.pick(at_most=1)
        assert turn.route.account == ACCOUNT

    def test_a_thousand_of_them_cost_a_pick_no_more_than_two(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        """Counted in commands: on a shared machine the time says nothing."""
        made = make(400)
        dispatch.announce("worker", {Lane.BULK: 900, Lane.TRANSACTIONAL: 900})
        few = _commands(store, lambda: dispatch.pick(at_most=1))
        for number in range(1000):
            account = AccountName(f"a{number}")
            one = replace(made.route, campaign_id=CampaignId(f"c{number}"), account=account)
            dispatch.wake(one)
            if number % 2:
                dispatch.hold(account, Lane.BULK, seconds=60, reason="the rate")
        many = _commands(store, lambda: dispatch.pick(at_most=1))
        assert many <= few + 2


class TestRoundTrips:
    def test_the_end_of_a_batch_makes_room_for_the_pick_in_the_same_one(
        self, dispatch: Dispatch, make: Make, store: Store, settings: Settings
    ) -> None:
        """Also by a process that runs the one script for the first time, or lost both."""
        made = make()
        dispatch.announce("worker", {Lane.BULK: 1})
        [turn] = dispatch.pick(own=True)
        for flushed in (False, True):
            other = Dispatch(Store(settings.redis), settings)
            if flushed:
                store.client.script_flush()
            [turn] = other.pick(own=True, after=[other.ending(made.route, turn.tickets[0], sent=2)])
        assert out(store) == 1

    def test_of_what_a_forgotten_script_was_to_do_nothing_is_left_out(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        made = make()
        let_out(dispatch)
        store.client.script_flush()
        dispatch.do([dispatch.ending(made.route, made.route.member(0), sent=2)])
        assert out(store) == 3


class TestRest:
    def test_a_campaign_with_nothing_due_leaves_the_line_until_it_is_woken(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        made = make(4)
        assert len(let_out(dispatch)) == 2
        for number in made.numbers:
            dispatch.ended(made.route, made.ref(number), sent=2)
        assert let_out(dispatch) == []
        assert dispatch.pick() == []
        dispatch.wake(made.route)
        assert len(dispatch.pick()) == 1

    def test_one_that_was_woken_meanwhile_stays(self, dispatch: Dispatch, make: Make) -> None:
        made = make()
        made.set(steer="paused")
        [turn] = dispatch.pick()
        [due] = dispatch.release(turn)
        assert (due.numbers, due.next_at) == ((), MAY_NOT_SEND)
        made.set(steer="")
        dispatch.wake(made.route)
        dispatch.place([(turn, due)])
        assert len(let_out(dispatch)) == 4

    def test_one_that_was_dropped_and_woken_meanwhile_stays(
        self, dispatch: Dispatch, make: Make
    ) -> None:
        made = make()
        made.set(steer="paused")
        [turn] = dispatch.pick()
        [due] = dispatch.release(turn)
        dispatch.drop(made.id)
        made.set(steer="")
        dispatch.wake(made.route)
        dispatch.place([(turn, due)])
        assert len(let_out(dispatch)) == 4

    def test_one_that_waits_for_its_time_sleeps(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        made = make()
        store.stop_the_clock()
        made.set(send_at=store.seconds() + 0.2)
        assert let_out(dispatch) == []
        assert dispatch.wake_sleepers() == (0, pytest.approx(0.2, abs=0.001))
        store.pass_time(0.199)
        assert sleepers(dispatch) == 0
        store.pass_time(0.0011)
        assert sleepers(dispatch) == 1
        assert dispatch.wake_sleepers() == (0, None)
        assert len(let_out(dispatch)) == 4

    def test_a_scheduled_one_sleeps_to_its_moment_and_costs_no_turn(
        self, dispatch: Dispatch, store: ClockedStore, settings: Settings
    ) -> None:
        store.stop_the_clock()
        moment = store.seconds() + 3600
        made = campaigns.make(store, settings, 4, batch_size=2)
        made.set(send_at=moment)
        scheduled = replace(made.route, send_at=moment)
        dispatch.wake(scheduled)
        assert dispatch.pick() == []
        assert dispatch.waiting(ACCOUNT, Lane.BULK) == 0
        until = store.client.zscore(store.keys.dispatch("asleep"), made.id)
        assert until == pytest.approx(moment, abs=1e-5)
        dispatch.wake(scheduled)
        store.pass_time(3599.9)
        dispatch.announce("worker", {Lane.BULK: 4, Lane.TRANSACTIONAL: 4})
        assert sleepers(dispatch) == 0
        store.pass_time(0.2)
        assert sleepers(dispatch) == 1
        assert len(let_out(dispatch)) == 2

    def test_thousands_of_sleepers_are_woken_in_bounded_steps(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        route = make(2).route
        moment = store.seconds() + 0.2
        for number in range(150):
            one = replace(route, campaign_id=CampaignId(f"c{number}"), send_at=moment)
            dispatch.wake(one)
        wait_until(lambda: store.seconds() > moment, "their moment comes")
        woken = [sleepers(dispatch) for _ in range(4)]
        assert woken == [64, 64, 22, 0]
        assert dispatch.waiting(ACCOUNT, Lane.BULK) == 151

    def test_what_comes_back_early_wakes_it_early(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        """All is released and it sleeps for a grace; one batch is parked for less."""
        made = make(4)
        store.stop_the_clock()
        assert len(let_out(dispatch)) == 2
        assert let_out(dispatch) == []
        [rest] = [dispatch.wake_sleepers()[1]]
        assert rest == pytest.approx(60, abs=0.01)
        dispatch.wake(made.route, within=5)
        assert dispatch.wake_sleepers()[1] == pytest.approx(5, abs=0.01)
        dispatch.wake(made.route, within=50)
        assert dispatch.wake_sleepers()[1] == pytest.approx(5, abs=0.01)

    def test_it_wakes_when_the_lease_of_a_batch_is_over_that_was_taken_up(
        self, dispatch: Dispatch, make: Make, store: ClockedStore
    ) -> None:
        made = make(4)
        store.stop_the_clock()
        let_out(dispatch)
        assert let_out(dispatch) == []
        dispatch.began(made.route, made.ref(0))
        assert dispatch.wake_sleepers()[1] == pytest.approx(30, abs=0.01)

    def test_one_that_is_over_leaves_no_trace_even_when_it_is_woken_once_more(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        """A worker that still had a batch of it brings its rest in line again."""
        made = make()
        made.set(steer="cancelled")
        dispatch.drop(made.id)
        dispatch.wake(made.route)
        assert let_out(dispatch) == []
        for name in ("routes", "wakes", "clocks"):
            assert not store.client.hexists(store.keys.dispatch(name), made.id)

    def test_one_whose_records_are_gone_leaves_no_trace(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        made = make()
        store.client.delete(*store.keys.campaign(made.id).all())
        assert let_out(dispatch) == []
        assert dispatch.route(made.id) is None
        assert dispatch.wake_sleepers() == (0, None)
        assert out(store) == 0
        assert store.client.hgetall(store.keys.dispatch("going:bulk")) == {}

    def test_dropped_it_leaves_no_trace(self, dispatch: Dispatch, make: Make, store: Store) -> None:
        made = make()
        dispatch.drop(made.id)
        assert dispatch.pick() == []
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
        [turn] = line.pick()
        assert line.release(turn)[0].numbers == (0, 1)
        assert line.release(turn)[0].numbers == ()
        store.pass_time(0.201)  # Redis keeps it to the millisecond.
        assert _due(made)
        assert set(line.release(turn)[0].numbers) == {0, 1}

    def test_says_when_the_next_one_is_due(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        make(4)
        [turn] = dispatch.pick()
        dispatch.release(turn)
        [due] = dispatch.release(turn)
        assert 50 < due.next_at - store.seconds() <= 60.001

    def test_what_was_begun_goes_before_what_was_not(
        self, dispatch: Dispatch, make: Make, store: Store
    ) -> None:
        one = make(20)
        keys = store.keys.campaign(one.id)
        lapsed = {"7": store.seconds() - 1, "8": store.seconds() - 2}
        store.client.zadd(keys.due, lapsed)
        [turn] = dispatch.pick()
        assert dispatch.release(turn)[0].numbers == (8, 7, 0, 1)


def _due(made: PreparedCampaign) -> bool:
    return all((made.due(number) or 0) <= made.store.seconds() for number in made.numbers)


def _in_line(store: Store) -> list[bytes]:
    found = store.client.zrange(store.keys.dispatch("line"), 0, -1)
    return [member.rpartition(b"|")[2] for member in found]


def _commands(store: Store, act: Callable[[], object]) -> int:
    """Count the commands of one act, those within scripts too."""
    before = store.client.info("stats")["total_commands_processed"]
    act()
    return int(store.client.info("stats")["total_commands_processed"] - before)


def _age(store: Store, key: str, seconds: float) -> None:
    """Let so many seconds pass for the members of a sorted set of times."""
    for member, score in store.client.zrange(key, 0, -1, withscores=True):
        store.client.zadd(key, {member: score - seconds})
