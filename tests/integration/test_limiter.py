"""The limiter over the real budget: processes and threads together keep the pace of one."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from postroom import clock
from postroom.errors import AccountHaltedError, BudgetExhaustedError
from postroom.model import AccountName, CampaignId, Lane
from postroom.settings import Settings
from postroom.store.budget import Allowance, Ask, Budget, Grant, Wait, Why
from postroom.store.connection import Store
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until
from worker.account.limiter import Limiter
from worker.account.retrying import RetryingBudget
from worker.sending.retry import store_waits
from worker.stopping import Stopping

ACCOUNT = AccountName("main")


@dataclass
class Process:
    """One worker process as the limiter sees it: its own connection, its own wish to stop."""

    store: Store
    max_wait_seconds: float = 5.0

    def __post_init__(self) -> None:
        self.stopping = Stopping(clock.monotonic, grace_seconds=1)
        self.budget = Budget(self.store)
        waiting = store_waits(self.stopping.sleep, self.stopping.asked)
        self.limiter = Limiter(
            token_source=RetryingBudget(self.budget, waiting),
            sleep=self.stopping.sleep,
            stopping=self.stopping.asked,
            max_wait_seconds=self.max_wait_seconds,
        )

    def take(self, wanted: int = 1, waiter: str = "me", **more: Any) -> Grant:
        usual: dict[str, Any] = {
            "lane": Lane.BULK,
            "bulk_request": False,
            "campaign_id": CampaignId("c1"),
            "weight": 1.0,
        }
        return self.limiter.take(ACCOUNT, Ask(waiter=waiter, wanted=wanted, **{**usual, **more}))

    def allow(self, rate: float, *, quota: float = -1.0, requests: float = 0.0) -> None:
        self.budget.observe(
            ACCOUNT,
            Allowance(
                rate=rate,
                quota=quota,
                sent=-1.0,
                window_seconds=86_400.0,
                cells=288,
                burst_seconds=0.25,
                increase_per_second=0.05,
                requests_per_second=requests,
                refresh_seconds=30.0,
            ),
        )


Processes = Callable[..., Process]


@pytest.fixture
def processes(settings: Settings, store: Store) -> Iterator[Processes]:
    """Start processes over the Redis that `store` emptied."""
    started: list[Process] = []

    def start(**more: Any) -> Process:
        started.append(Process(Store(settings.redis), **more))
        return started[-1]

    yield start
    for one in started:
        one.stopping.ask()
        one.store.close()


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


@pytest.mark.parametrize(("rate", "call"), [(14.0, 3), (400.0, 50)])
def test_two_processes_of_many_threads_keep_the_rate(
    processes: Processes, rate: float, call: int
) -> None:
    both = [processes(), processes()]
    both[0].allow(rate)
    seconds = 2.5
    until = time.monotonic() + seconds

    def work(number: int) -> int:
        sent = 0
        while time.monotonic() < until:
            with suppress(BudgetExhaustedError):
                sent += both[number % 2].take(call, f"waiter {number}").recipients
        return sent

    with ThreadPoolExecutor(8) as threads:
        began = time.monotonic()
        total = sum(threads.map(work, range(8)))
        lasted = time.monotonic() - began
    at_once = rate * 0.25 + call
    assert at_once < total <= rate * lasted + at_once


def test_an_account_nobody_has_read_is_not_waited_for(processes: Processes) -> None:
    """The batch is parked until SES has told; in hand it would outlast its lease."""
    process = processes()
    with pytest.raises(BudgetExhaustedError, match="not been read"):
        process.take()
    process.allow(1e6)
    assert process.take().recipients == 1


class Overtaken:
    """A budget that always has somebody else to serve first."""

    def take(self, account: AccountName, ask: Ask, *, max_wait_seconds: float) -> Grant | Wait:
        return Wait(why=Why.RATE, seconds=0.05, detail="", holds=1)

    def withdraw(self, account: AccountName, waiter: str) -> None:
        self.withdrawn = waiter


def test_whoever_is_overtaken_for_too_long_puts_the_batch_back() -> None:
    """A lease is renewed by calls only: no batch is held in hand for long without one."""
    stopping = Stopping(clock.monotonic, grace_seconds=1)
    limiter = Limiter(
        token_source=Overtaken(),
        sleep=stopping.sleep,
        stopping=stopping.asked,
        max_wait_seconds=0.2,
    )
    ask = Ask(
        waiter="me",
        wanted=1,
        lane=Lane.BULK,
        bulk_request=False,
        campaign_id=CampaignId("c1"),
        weight=1.0,
    )
    with pytest.raises(BudgetExhaustedError, match="send rate") as caught:
        limiter.take(ACCOUNT, ask)
    assert caught.value.seconds == 0


def test_a_halted_account_needs_a_person(processes: Processes) -> None:
    process = processes()
    process.allow(1e6)
    process.budget.halt(ACCOUNT, "its keys were revoked")
    with pytest.raises(AccountHaltedError, match="its keys were revoked"):
        process.take()


def test_halted_while_somebody_waits_he_is_told(processes: Processes) -> None:
    process = processes()
    process.allow(1.0)
    with ThreadPoolExecutor(1) as worker:
        waits = worker.submit(process.take)
        line = process.store.keys.account(ACCOUNT).line
        wait_until(lambda: process.store.client.zcard(line), "somebody waits")
        process.budget.halt(ACCOUNT, "suspended")
        assert isinstance(waits.exception(timeout=30), AccountHaltedError)


@pytest.mark.parametrize(
    ("allowance", "why"),
    [({"rate": 0.1}, "send rate"), ({"rate": 1e6, "quota": 0.0}, "quota")],
)
def test_a_long_wait_is_not_waited_for(
    processes: Processes, allowance: dict[str, float], why: str
) -> None:
    process = processes()
    process.allow(**allowance)
    with pytest.raises(BudgetExhaustedError, match=why) as caught:
        process.take()
    assert caught.value.seconds > 5


def test_a_rate_of_nothing_parks_and_does_not_spin(processes: Processes) -> None:
    process = processes()
    process.allow(0.0)
    calls = process.store.client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)
    with pytest.raises(BudgetExhaustedError):
        process.take()
    after = process.store.client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert after - calls <= 2


def test_scarce_bulk_requests_are_shared_by_processes(processes: Processes) -> None:
    both = [processes(), processes()]
    both[0].allow(1e6, requests=10.0)
    for _ in range(2):
        both[0].take(bulk_request=True)

    def work(number: int) -> int:
        return both[number % 2].take(5, f"waiter {number}", bulk_request=True).recipients

    with ThreadPoolExecutor(8) as threads:
        seconds = timed(lambda: list(threads.map(work, range(12))))
    assert seconds >= 1.0


def test_a_stop_ends_every_wait_at_once(processes: Processes) -> None:
    process = processes()
    process.allow(0.25)
    with ThreadPoolExecutor(4) as workers:
        waits = [workers.submit(process.take, 1, f"waiter {n}") for n in range(4)]
        line = process.store.keys.account(ACCOUNT).line
        wait_until(lambda: process.store.client.zcard(line), "somebody waits")
        process.stopping.ask()
        faults = [type(one.exception(timeout=30)) for one in waits]
    # One was served before it, perhaps; in 16 s all four would have been.
    assert set(faults) <= {BudgetExhaustedError, type(None)}
    assert faults.count(type(None)) <= 1


def test_those_behind_a_killed_process_go_on(processes: Processes) -> None:
    dead, alive = processes(), processes(max_wait_seconds=60.0)
    dead.allow(20.0)
    usual = {"lane": Lane.BULK, "bulk_request": False, "weight": 1.0}
    for number in range(5):
        ask = Ask(waiter=f"dead {number}", wanted=5, campaign_id=CampaignId("c1"), **usual)
        dead.budget.take(ACCOUNT, ask, max_wait_seconds=5)
    assert alive.take(5, "alive").recipients == 5


def test_those_behind_a_process_that_stops_go_on_at_once(processes: Processes) -> None:
    """A deployment stops all of its processes one after the other, each with a full line."""
    ending, alive = processes(), processes(max_wait_seconds=30.0)
    ending.allow(20.0)
    keys = alive.store.keys.account(ACCOUNT)
    with ThreadPoolExecutor(12) as threads:
        waits = [threads.submit(ending.take, 5, f"ending {number}") for number in range(12)]
        wait_until(lambda: alive.store.client.zcard(keys.line) >= 8, "all stand in line")
        ending.stopping.ask()
        assert {type(one.exception(timeout=10)) for one in waits} <= {
            BudgetExhaustedError,
            type(None),
        }
    assert alive.store.client.zcard(keys.line) == 0
    assert alive.store.client.hlen(keys.asks) == 0


class TestRedisAway:
    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[RedisServer]:
        own = RedisServer(tmp_path, "--appendfsync", "always")
        own.start()
        yield own
        own.stop()

    @pytest.fixture
    def process(self, server: RedisServer, settings: Settings) -> Iterator[Process]:
        redis = msgspec.structs.replace(settings.redis, url=server.url, timeout_seconds=0.3)
        one = Process(Store(redis))
        one.allow(1e6)
        server.client.hset(one.store.keys.account(ACCOUNT).budget, "tokens", 1e6)
        yield one
        one.store.close()

    @pytest.mark.parametrize("trouble", ["stopped", "frozen"])
    def test_nothing_is_granted_and_then_it_goes_on(
        self, server: RedisServer, process: Process, trouble: str
    ) -> None:
        (server.stop if trouble == "stopped" else server.freeze)()
        with ThreadPoolExecutor(1) as worker:
            grant = worker.submit(process.take, 10)
            with pytest.raises(TimeoutError):
                grant.result(timeout=0.8)
            (server.start if trouble == "stopped" else server.thaw)()
            assert grant.result(timeout=10).recipients == 10
        assert process.budget.status(ACCOUNT).used >= 10

    def test_a_read_only_replica_is_waited_out(self, server: RedisServer, process: Process) -> None:
        server.client.replicaof("127.0.0.1", 1)
        with ThreadPoolExecutor(1) as worker:
            grant = worker.submit(process.take, 10)
            with pytest.raises(TimeoutError):
                grant.result(timeout=0.5)
            server.client.replicaof("NO", "ONE")
            assert grant.result(timeout=10).recipients == 10
