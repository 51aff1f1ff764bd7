"""The heartbeat waits for nothing else, and a sweep that lasts is nobody else's."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from postroom.model import Lane
from postroom.settings import Settings
from postroom.store.connection import Store
from postroom.store.presence import workers
from tests.support.campaigns import ACCOUNT
from tests.support.fake_carrier import FakeCarrier
from tests.support.waiting import wait_until
from tests.support.worker_harness import WorkerHarness, quick
from worker.process.maintenance import Maintenance


@pytest.fixture
def stuck() -> threading.Event:
    """What the house-keeping waits for."""
    return threading.Event()


def hanging(
    maintenance: Maintenance, stuck: threading.Event, seen: list[str], name: str
) -> Maintenance:
    """The same upkeep with a sweep that hangs at its first campaign."""

    def look() -> None:
        seen.append(name)
        stuck.wait(30)

    janitor = replace(maintenance.janitor, live=_Each(maintenance.janitor.live, look))
    return replace(maintenance, sweep=replace(maintenance.sweep, janitor=janitor))


class _Each:
    """The live campaigns, with a look before each of them."""

    def __init__(self, live: object, look: Callable[[], None]) -> None:
        self._live, self._look = live, look

    def __getattr__(self, name: str) -> object:
        return getattr(self._live, name)

    def each_looked_at(self, **how: object) -> object:
        for campaign in self._live.each_looked_at(**how):
            self._look()
            yield campaign


def test_slots_are_announced_while_the_house_keeping_hangs(
    post: WorkerHarness, store: Store, stuck: threading.Event
) -> None:
    post.make(2)
    seen: list[str] = []
    beat = post.worker.heartbeat(4)
    maintenance = hanging(post.worker.maintenance(), stuck, seen, "one")
    loops = (beat, *maintenance.loops())
    threads = [threading.Thread(target=one.run, daemon=True) for one in loops]
    for thread in threads:
        thread.start()
    wait_until(lambda: seen, "the sweep hangs")
    store.client.delete(store.keys.dispatch("slots:bulk"), store.keys.dispatch("workers"))
    wait_until(lambda: workers(store), "they are announced again", seconds=5)
    stuck.set()
    post.stopping.ask()
    for thread in threads:
        thread.join(10)


def test_what_sleeps_is_woken_while_the_sweep_hangs(
    post: WorkerHarness, store: Store, stuck: threading.Event
) -> None:
    made, seen = post.make(2), list[str]()
    maintenance = hanging(post.worker.maintenance(), stuck, seen, "one")
    threads = [threading.Thread(target=one.run, daemon=True) for one in maintenance.loops()]
    for thread in threads:
        thread.start()
    wait_until(lambda: seen, "the sweep hangs")
    post.dispatch.wake(replace(made.route, send_at=store.seconds() + 0.1))
    wait_until(lambda: post.dispatch.waiting(ACCOUNT, Lane.BULK), "it is in line", seconds=5)
    stuck.set()
    post.stopping.ask()
    for thread in threads:
        thread.join(10)


def test_a_retired_worker_is_not_announced_again(post: WorkerHarness, store: Store) -> None:
    beat = post.worker.heartbeat(4)
    beat.beat()
    assert len(workers(store)) == 1
    post.stopping.ask()
    beat.retire()
    beat.beat()
    assert workers(store) == []
    assert store.client.hlen(store.keys.dispatch("slots:bulk")) == 0


def test_a_beat_is_one_round_trip(post: WorkerHarness, store: Store) -> None:
    post.worker.heartbeat(4).beat()
    before = store.client.info("stats")["total_commands_processed"]
    post.worker.heartbeat(4).beat()
    after = store.client.info("stats")["total_commands_processed"]
    inside = 1 + 4 + 1 + 2  # TIME, slots, presence, lengths: within the script.
    assert after - before <= 2 + inside


def test_two_sweeps_never_run_the_same_list(
    post: WorkerHarness, store: Store, settings: Settings, stuck: threading.Event
) -> None:
    post.make(2)
    other = WorkerHarness(store, quick(settings), FakeCarrier())
    seen: list[str] = []
    sweeps = [
        hanging(post.worker.maintenance(), stuck, seen, "one"),
        hanging(other.worker.maintenance(), stuck, seen, "other"),
    ]
    first = threading.Thread(target=sweeps[0].sweep.step, daemon=True)
    first.start()
    wait_until(lambda: seen, "one sweeps")
    with suppress(TimeoutError):
        sweeps[1].sweep.step()
    assert seen == ["one"]
    stuck.set()
    first.join(10)
    other.close()


def test_the_slots_of_a_dead_worker_lapse_and_it_is_forgotten(
    post: WorkerHarness, store: Store
) -> None:
    post.dispatch.announce("dead:1", {Lane.BULK: 4})
    store.client.hdel(store.keys.dispatch("slots:bulk"), "dead:1")
    post.dispatch.announce("well:2", {Lane.BULK: 4})
    assert [one.name for one in workers(store)] == ["well:2"]


def test_clients_that_nobody_uses_are_closed(post: WorkerHarness) -> None:
    closed: list[bool] = []
    maintenance = post.worker.maintenance()
    noting = replace(maintenance, close_unused=lambda: closed.append(True))
    [quota] = [loop for loop in noting.loops() if loop.name == "quota"]
    quota.step()
    assert closed
