"""A lock lasts as long as its holder works; two never have it at once."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from postroom.store.connection import Store
from postroom.store.lock import Lock
from tests.support.waiting import wait_until

MakeLock = Callable[[str], Lock]


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def lock(store: Store, time: Time) -> MakeLock:
    return lambda owner: Lock(store, "sweep", owner=owner, lasts_seconds=0.5, clock=time)


def test_only_one_has_it(lock: MakeLock) -> None:
    assert lock("a").take()
    assert not lock("b").take()


def test_who_works_longer_than_it_lasts_still_has_it(lock: MakeLock, time: Time) -> None:
    one, other = lock("a"), lock("b")
    assert one.take()
    seen = []

    def worked_on() -> bool:
        time.now += 0.1
        seen.append((one.renew(), other.take()))
        return len(seen) > 50  # More than a second, with the pauses of `wait_until`.

    wait_until(worked_on, "it has worked for twice as long as the lock lasts")
    assert set(seen) == {(True, False)}


def test_who_was_frozen_has_lost_it_and_is_told(lock: MakeLock, time: Time) -> None:
    one, other = lock("a"), lock("b")
    assert one.take()
    wait_until(other.take, "it lapses")
    time.now += 10
    assert not one.renew()
    one.rest(60)
    time.now += 10
    assert other.renew()


def test_after_the_work_nobody_does_it_again_for_a_while(lock: MakeLock) -> None:
    one = lock("a")
    assert one.take()
    one.rest(0.1)
    assert not one.take()
    wait_until(lock("b").take, "the rest is over")
