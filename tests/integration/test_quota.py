"""The quota keeper on real Redis, reading GetAccount of the local SES."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import pytest

from postroom import clock
from postroom.model import AccountName, CampaignId, Lane
from postroom.settings import Account, Settings
from postroom.store.aliases import Aliases
from postroom.store.budget import Allowance, Ask, Budget, Grant, Wait
from postroom.store.connection import Store
from postroom.store.dispatch import Dispatch
from postroom.store.poll_lease import PollLease
from postroom.store.presence import Trouble, workers
from tests.simulator.running import RunningSimulator
from tests.support.client_harness import ClientHarness
from tests.support.raw_server import RawServer
from tests.support.waiting import wait_until
from worker.account.poller import AccountPoller
from worker.account.reading_threads import ReadingThreads
from worker.fitness import Fitness
from worker.ses.account import read_account_of
from worker.ses.client import Clients
from worker.ses.whose import Whose

ACCOUNT = AccountName("main")
MakeKeeper = Callable[..., AccountPoller]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSimulator]:
    with RunningSimulator("--management-rate", "0") as simulator:
        yield simulator


@pytest.fixture
def ses(running: RunningSimulator) -> RunningSimulator:
    running.post("reset")
    return running


class AtOnce(ReadingThreads):
    """Reads on the thread that ticks."""

    def run(self, look: Callable[[], None]) -> None:
        look()


def hang_until(over: threading.Event) -> None:
    over.wait(20)


@pytest.fixture
def poller(
    ses: RunningSimulator, settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> MakeKeeper:
    """Make a keeper, as each worker process has one."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    def make(
        *,
        refresh_seconds: float = 30.0,
        others: dict[str, Account] | None = None,
        threads: ReadingThreads | None = None,
        patience_seconds: float = 20.0,
        **account: object,
    ) -> AccountPoller:
        own = Account(region="eu-west-1", endpoint_url=ses.url, **account)
        changed = msgspec.structs.replace(
            settings,
            accounts={**(others or {}), ACCOUNT: own},
            ses=msgspec.structs.replace(settings.ses, read_timeout_seconds=patience_seconds),
        )
        budget, clients = Budget(store), Clients(changed)
        return AccountPoller(
            accounts={AccountName(name): one for name, one in changed.accounts.items()},
            limiter=msgspec.structs.replace(settings.limiter, refresh_seconds=refresh_seconds),
            lease_seconds=settings.worker.lease_seconds,
            read=partial(read_account_of, clients),
            turns=PollLease(store, budget.aliases, list(map(AccountName, changed.accounts))),
            budgets=budget,
            identity=Whose(clients).identity,
            aliases=budget.aliases,
            dispatch=Dispatch(store, settings),
            fitness=Fitness(
                clock.now,
                "here:1",
                [AccountName(name) for name in changed.accounts],
                there=lambda: workers(store),
                agree_seconds=0.0,
            ),
            threads=threads or AtOnce(),
        )

    return make


@pytest.fixture
def budget(store: Store) -> Budget:
    return Budget(store)


def asked(ses: RunningSimulator) -> int:
    """How often GetAccount was called."""
    count: int = ses.stats["calls"].get("GetAccount", 0)
    return count


def _announce(poller: AccountPoller, worker: str, *, troubles: list[Trouble]) -> None:
    poller.dispatch.announce(worker, {Lane.BULK: 1}, accounts=[ACCOUNT], troubles=troubles)


def commands(store: Store, step: Callable[[], None]) -> int:
    """Count what one step asks of Redis, with what its scripts do there."""

    def so_far() -> int:
        stats = store.client.info("commandstats")
        return sum(int(one["calls"]) for name, one in stats.items() if name != "cmdstat_info")

    before = so_far()
    step()
    return so_far() - before


ASK = Ask(
    waiter="me",
    wanted=1,
    lane=Lane.BULK,
    bulk_request=True,
    campaign_id=CampaignId("c1"),
    weight=1.0,
)


def allow(budget: Budget, account: AccountName) -> None:
    allowance = Allowance(
        rate=1000.0,
        quota=-1.0,
        sent=-1.0,
        window_seconds=86_400.0,
        cells=288,
        burst_seconds=0.25,
        increase_per_second=0.05,
        requests_per_second=0.0,
        refresh_seconds=30.0,
    )
    budget.observe(account, allowance)
    budget._store.client.hset(budget._store.keys.account(account).budget, "tokens", 100)


def read_again(poller: AccountPoller, store: Store, account: AccountName = ACCOUNT) -> None:
    """Read the account although it was read just now."""
    poller.soon(account)
    store.client.delete(store.keys.accounts("asked"))
    poller.tick()


class TestReading:
    def test_learns_rate_and_quota(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget
    ) -> None:
        ses.settings(rate=40.0, quota=5000)
        poller().tick()
        status = budget.status(ACCOUNT)
        assert (status.known, status.rate, status.quota) == (True, 40.0, 5000.0)

    def test_minus_one_is_unlimited(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget
    ) -> None:
        ses.settings(rate=40.0, quota=-1)
        poller().tick()
        assert budget.status(ACCOUNT).quota == -1.0

    def test_keeps_a_share_free_for_others(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget
    ) -> None:
        ses.settings(rate=40.0, quota=5000)
        poller(share=0.5).tick()
        status = budget.status(ACCOUNT)
        assert (status.rate, status.quota) == (20.0, 2500.0)

    def test_the_operators_own_rate_is_never_passed(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget
    ) -> None:
        ses.settings(rate=40.0)
        poller(max_send_rate=10.0).tick()
        assert budget.status(ACCOUNT).rate == 10.0

    def test_smaller_calls_get_more_batches_at_once(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget, store: Store
    ) -> None:
        """Each waits for its answer before it sends the next: four small ones do not do."""
        ses.settings(rate=200.0)
        keeper = poller()
        keeper.tick()
        limits = keeper.dispatch._key("limits")
        bulk, messages = (f"{ACCOUNT}|{lane}" for lane in (Lane.BULK, Lane.TRANSACTIONAL))
        assert store.client.hmget(limits, bulk, messages) == [b"4", b"42"]
        budget.throttled(ACCOUNT, factor=0.8, refused=40, drawn=50)
        read_again(keeper, store)
        assert store.client.hmget(limits, bulk, messages) == [b"27", b"42"]

    def test_what_others_sent_on_the_account_counts(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget, store: Store
    ) -> None:
        ses.settings(quota=10)
        ses.send_bulk([f"other{number}@example.org" for number in range(7)])
        poller().tick()
        assert budget.status(ACCOUNT).foreign == 7
        ask = Ask(
            waiter="me",
            wanted=50,
            lane=Lane.BULK,
            bulk_request=True,
            campaign_id=CampaignId("c1"),
            weight=1.0,
        )
        store.client.hset(store.keys.account(ACCOUNT).budget, "tokens", 1e6)
        grant = budget.take(ACCOUNT, ask, max_wait_seconds=1)
        assert isinstance(grant, Grant)
        assert grant.recipients == 3

    def test_what_others_send_of_the_share_left_to_them_takes_nothing_of_ours(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget, store: Store
    ) -> None:
        ses.settings(quota=20)
        ses.send_bulk([f"other{number}@example.org" for number in range(10)])
        one = poller(share=0.5)
        one.tick()
        status = budget.status(ACCOUNT)
        assert (status.quota, status.foreign) == (10.0, 0)
        ses.send_bulk([f"more{number}@example.org" for number in range(4)])
        read_again(one, store)
        assert budget.status(ACCOUNT).foreign == 4

    def test_slots_suit_the_rate(
        self, poller: MakeKeeper, ses: RunningSimulator, store: Store
    ) -> None:
        ses.settings(rate=1000.0)
        poller().tick()
        limits = store.client.hgetall(store.keys.dispatch("limits"))
        assert int(limits[b"main|bulk"]) == 12


class TestOneAccountInTwoSections:
    OTHER = AccountName("other")

    def test_shares_one_budget_that_none_of_them_passes(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget, store: Store
    ) -> None:
        ses.settings(rate=40.0, quota=5000)
        other = Account(region="eu-west-1", endpoint_url=ses.url, share=0.25)
        one = poller(others={self.OTHER: other}, share=0.25)
        read_again(one, store)
        read_again(one, store)
        read_again(one, store, self.OTHER)
        budget.aliases.refresh()
        assert budget.aliases.sharing(ACCOUNT) == [ACCOUNT, self.OTHER]
        assert budget.status(ACCOUNT) == budget.status(self.OTHER)
        assert (budget.status(ACCOUNT).rate, budget.status(ACCOUNT).quota) == (20.0, 2500.0)

    def test_grants_nothing_on_a_budget_of_its_own_whoever_has_not_heard(
        self, store: Store
    ) -> None:
        late, early = Budget(store), Budget(store)
        assert late.aliases.owner(self.OTHER) == self.OTHER
        early.aliases.register(ACCOUNT, "aws:1:eu", sure=True)
        early.aliases.register(self.OTHER, "aws:1:eu", sure=True)
        early.forget(self.OTHER)
        allow(early, ACCOUNT)
        granted = late.take(self.OTHER, ASK, max_wait_seconds=1)
        assert isinstance(granted, Grant)
        assert late.status(ACCOUNT).used == 1
        assert store.client.hget(store.keys.account(self.OTHER).budget, "used") is None

    def test_what_stopped_a_section_stops_all_once_they_are_known_to_be_one(
        self, store: Store
    ) -> None:
        budget = Budget(store)
        allow(budget, ACCOUNT)
        budget.pause(self.OTHER)
        budget.aliases.register(ACCOUNT, "aws:1:eu", sure=True)
        budget.aliases.register(self.OTHER, "aws:1:eu", sure=True)
        budget.forget(self.OTHER)
        assert budget.status(self.OTHER).paused
        assert isinstance(budget.take(ACCOUNT, ASK, max_wait_seconds=1), Wait)
        budget.resume(self.OTHER)
        budget.forget(self.OTHER)
        assert not budget.status(ACCOUNT).paused
        assert isinstance(budget.take(ACCOUNT, ASK, max_wait_seconds=1), Grant)

    def test_who_moves_to_another_account_leaves_the_budget_to_those_who_stay(
        self, store: Store
    ) -> None:
        aliases = Aliases(store)
        for name in (ACCOUNT, self.OTHER):
            assert aliases.register(name, "aws:1:eu", sure=True) == ACCOUNT
        assert aliases.register(ACCOUNT, "aws:2:eu", sure=True) == ACCOUNT
        assert aliases.owner(self.OTHER) == self.OTHER
        assert aliases.sharing(ACCOUNT) == [ACCOUNT]

    def test_what_sts_said_stands_while_it_does_not_answer(self, store: Store) -> None:
        aliases = Aliases(store)
        for name in (ACCOUNT, self.OTHER):
            aliases.register(name, "aws:1:eu", sure=True)
        assert aliases.register(self.OTHER, "key:7", sure=False) == ACCOUNT

    def test_a_halt_and_its_end_are_those_of_all_its_sections(
        self, store: Store, settings: Settings, harness: ClientHarness
    ) -> None:
        for name in (ACCOUNT, self.OTHER):
            Aliases(store).register(name, "aws:1:eu", sure=True)
        dispatch = Dispatch(store, settings)
        for name in (ACCOUNT, self.OTHER):
            dispatch.hold(name, Lane.BULK, seconds=60, reason="suspended")
        Budget(store).halt(self.OTHER, "suspended")
        assert harness.post.account(ACCOUNT).halted == "suspended"
        assert harness.post.account(ACCOUNT).shares_with == (self.OTHER,)
        harness.post.resume_account(ACCOUNT)
        assert Budget(store).status(self.OTHER).halted == ""
        assert dispatch.held(self.OTHER, Lane.BULK) is None
        noted = [one for one in harness.post.examine() if not one.wrong]
        assert "share one budget" in noted[0].what


class TestHowOften:
    def test_one_of_many_processes_reads_for_all(
        self, poller: MakeKeeper, ses: RunningSimulator
    ) -> None:
        keepers = [poller() for _ in range(4)]
        with ThreadPoolExecutor(4) as processes:
            list(processes.map(lambda number: keepers[number % 4].tick(), range(20)))
        assert asked(ses) == 1

    def test_never_more_than_once_a_second_whatever_is_asked(
        self, poller: MakeKeeper, ses: RunningSimulator
    ) -> None:
        keepers, began = [poller() for _ in range(3)], time.monotonic()

        def process(number: int) -> None:
            while asked(ses) < 3:
                keepers[number].soon(ACCOUNT)
                keepers[number].tick()
                time.sleep(0.01)  # noqa: TID251 - as often as a busy process might

        with ThreadPoolExecutor(3) as processes:
            list(processes.map(process, range(3)))
        assert asked(ses) <= time.monotonic() - began + 1

    def test_again_when_it_is_time(self, poller: MakeKeeper, ses: RunningSimulator) -> None:
        one = poller(refresh_seconds=1.2)

        def ticked() -> bool:
            one.tick()
            return asked(ses) >= 2

        wait_until(ticked, "the account is read again")

    def test_a_process_that_died_reading_holds_nobody_up(
        self, poller: MakeKeeper, ses: RunningSimulator, store: Store, settings: Settings
    ) -> None:
        dead = PollLease(store, Aliases(store), [ACCOUNT])
        due = dead.due(lambda _: True, at_most=1)
        assert dead.claim(dict.fromkeys(due, 1.2)) == [ACCOUNT]
        one = poller(refresh_seconds=1.2)

        def ticked() -> bool:
            one.tick()
            return asked(ses) == 1

        wait_until(ticked, "another reads it")


class TestManyAccounts:
    def many(self, ses: RunningSimulator, count: int) -> dict[str, Account]:
        """One account of AWS in each of so many Regions."""
        return {
            f"a{at}": Account(region=f"eu-west-{at}", endpoint_url=ses.url) for at in range(count)
        }

    def test_cost_no_round_trip_each_while_none_is_due(
        self, poller: MakeKeeper, ses: RunningSimulator, store: Store
    ) -> None:
        few, many = poller(others=self.many(ses, 5)), poller(others=self.many(ses, 60))
        while few.turns.due(lambda _: True, at_most=1) or many.turns.due(lambda _: True, at_most=1):
            few.tick()
            many.tick()
        assert commands(store, few.tick) == commands(store, many.tick) <= 3

    def test_are_all_read_and_not_for_ever_in_the_same_second(
        self, poller: MakeKeeper, ses: RunningSimulator, store: Store, budget: Budget
    ) -> None:
        one = poller(others=self.many(ses, 20))
        one.tick()
        assert all(budget.status(account).known for account in one.accounts)
        due = [at for _, at in store.client.zrange(store.keys.readings, 0, -1, False, True)]
        assert max(due) - min(due) > 1.0
        assert max(due) - store.seconds() <= 30.0

    def test_that_hang_do_not_keep_the_others_waiting(
        self, poller: MakeKeeper, budget: Budget
    ) -> None:
        """More of them than a process reads at once; a time-out later they are asked less often."""
        over = threading.Event()
        with RawServer(lambda *_: hang_until(over)) as server:
            broken = {
                f"a{at}": Account(region=f"eu-west-{at}", endpoint_url=server.url)
                for at in range(100)
            }
            one = poller(others=broken, threads=ReadingThreads(), patience_seconds=0.5)

            def ticked() -> bool:
                one.tick()
                return budget.status(ACCOUNT).known

            wait_until(ticked, "the account is read")
            over.set()

    def test_of_others_that_nobody_reads_stand_in_nobodys_way(
        self, poller: MakeKeeper, store: Store, budget: Budget
    ) -> None:
        others = [AccountName(f"unread{at}") for at in range(250)]
        assert len(PollLease(store, Aliases(store), others).due(lambda _: True, at_most=999)) == 250
        poller().tick()
        assert budget.status(ACCOUNT).known

    def test_that_no_process_has_in_its_settings_any_more_are_forgotten(
        self, poller: MakeKeeper, store: Store
    ) -> None:
        gone = AccountName("gone")
        PollLease(store, Aliases(store), [gone]).due(lambda _: True, at_most=0)
        store.client.zadd(store.keys.accounts("named"), {gone: store.seconds() - 700})
        poller().tick()
        assert store.client.zrange(store.keys.readings, 0, -1) == [b"main"]
        Budget(store).resume(gone)
        assert store.client.zscore(store.keys.readings, gone) is None


class TestChanges:
    def test_a_raised_rate_or_quota_lets_the_account_go(
        self, poller: MakeKeeper, ses: RunningSimulator, store: Store, budget: Budget
    ) -> None:
        one = poller()
        ses.settings(rate=10.0, quota=100)
        one.tick()
        for change in ({"rate": 50.0}, {"quota": 200}, {"quota": -1}):
            one.dispatch.hold(ACCOUNT, Lane.BULK, seconds=60, reason="quota spent")
            read_again(one, store)
            assert one.dispatch.held(ACCOUNT, Lane.BULK) is not None
            ses.settings(**change)
            read_again(one, store)
            assert one.dispatch.held(ACCOUNT, Lane.BULK) is None
        assert budget.status(ACCOUNT).rate == 50.0

    def test_a_lowered_rate_counts_at_once(
        self, poller: MakeKeeper, ses: RunningSimulator, store: Store, budget: Budget
    ) -> None:
        one = poller()
        ses.settings(rate=50.0)
        one.tick()
        ses.settings(rate=5.0)
        read_again(one, store)
        assert budget.status(ACCOUNT).rate == 5.0


class TestTrouble:
    def test_a_passing_fault_is_asked_about_again_soon(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget
    ) -> None:
        one = poller(refresh_seconds=3600.0)
        ses.fault("http_503", operation="GetAccount", times=1)

        def ticked() -> bool:
            one.tick()
            return budget.status(ACCOUNT).known

        assert not ticked()
        assert budget.status(ACCOUNT).halted == ""
        wait_until(ticked, "the account is read")

    @pytest.mark.parametrize("fault", ["bad_credentials", "access_denied", "expired_token"])
    def test_credentials_that_do_not_hold_halt_the_account(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget, fault: str
    ) -> None:
        ses.fault(fault)
        poller().tick()
        status = budget.status(ACCOUNT)
        assert "main" in status.halted
        assert not status.known

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"sending_enabled": False}, "disabled"),
            ({"enforcement_status": "SHUTDOWN"}, "SHUTDOWN"),
        ],
    )
    def test_an_account_that_may_not_send_is_halted(
        self,
        poller: MakeKeeper,
        ses: RunningSimulator,
        budget: Budget,
        change: dict[str, object],
        words: str,
    ) -> None:
        ses.settings(**change)
        poller().tick()
        assert words in budget.status(ACCOUNT).halted

    def test_an_account_that_cannot_be_set_up_does_not_keep_the_others_waiting(
        self, poller: MakeKeeper, budget: Budget
    ) -> None:
        broken = Account(region="eu-west-1", profile="there-is-no-such-profile")
        one = poller(others={"broken": broken})
        one.tick()
        assert budget.status(ACCOUNT).known
        assert "no-such-profile" in one.fitness.reason(AccountName("broken"))

    def test_trouble_of_this_host_is_no_trouble_of_the_account_and_another_reads_it(
        self, poller: MakeKeeper, ses: RunningSimulator, store: Store, budget: Budget
    ) -> None:
        unwell, well = poller(profile="there-is-no-such-profile"), poller()
        unwell.tick()
        assert not unwell.fitness.serves(ACCOUNT)
        assert budget.status(ACCOUNT).halted == ""
        store.client.delete(store.keys.accounts("asked"))
        well.tick()
        assert budget.status(ACCOUNT).known

    def test_trouble_that_every_worker_has_for_long_halts_the_account(
        self, poller: MakeKeeper, ses: RunningSimulator, store: Store, budget: Budget
    ) -> None:
        unwell = poller(profile="there-is-no-such-profile")
        _announce(unwell, "well:1", troubles=[])
        unwell.tick()
        assert budget.status(ACCOUNT).halted == ""
        unwell.dispatch.retire("well:1")
        unwell.fitness.fails(ACCOUNT, "no credentials")
        _announce(unwell, "here:1", troubles=unwell.fitness.troubles())
        unwell._unfit(ACCOUNT, "no credentials")
        assert budget.status(ACCOUNT).halted == "on every worker: no credentials"

    def test_an_account_that_hangs_does_not_keep_the_others_waiting(
        self, poller: MakeKeeper, budget: Budget
    ) -> None:
        over = threading.Event()
        with RawServer(lambda *_: hang_until(over)) as server:
            hanging = Account(region="eu-west-1", endpoint_url=server.url)
            poller(others={"hanging": hanging}, threads=ReadingThreads()).tick()
            wait_until(lambda: budget.status(ACCOUNT).known, "the account is read")
            over.set()

    def test_a_server_without_get_account_is_sent_to_at_the_operators_rate(
        self, poller: MakeKeeper, ses: RunningSimulator, budget: Budget, settings: Settings
    ) -> None:
        elsewhere = Account(
            region="eu-west-1", endpoint_url=f"{ses.url}/nowhere", max_send_rate=7.0
        )
        poller(others={"elsewhere": elsewhere}).tick()
        status = budget.status(AccountName("elsewhere"))
        assert (status.known, status.rate, status.quota) == (True, 7.0, -1.0)
