"""What keeps one process from sending: when it tries again, and when nobody can send."""

from dataclasses import dataclass, field

import pytest

from postroom.model import AccountName, SenderName
from postroom.store.presence import RunningWorker
from worker.fitness import Fitness

MAIN, OTHER = AccountName("main"), AccountName("other")
NEWS = SenderName("news")


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FitnessHarness:
    """This worker and those beside it."""

    time: Time = field(default_factory=Time)
    beside: list[RunningWorker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fitness = self.worker("here:1")

    def worker(self, name: str, *accounts: AccountName) -> Fitness:
        return Fitness(
            self.time, name, accounts or (MAIN,), there=lambda: self.beside, agree_seconds=120.0
        )

    def announce(self, *workers: tuple[str, Fitness]) -> None:
        self.beside = [
            RunningWorker(
                name=name,
                accounts=one.accounts,
                serving=one.serving(),
                troubles=tuple(one.troubles()),
            )
            for name, one in workers
        ]


@pytest.fixture
def harness() -> FitnessHarness:
    return FitnessHarness()


def test_an_account_that_the_settings_do_not_have_is_not_served(harness: FitnessHarness) -> None:
    assert harness.fitness.serves(MAIN)
    assert not harness.fitness.serves(OTHER)
    assert "no account 'other'" in harness.fitness.reason(OTHER)


def test_trouble_takes_it_out_of_the_account_and_is_tried_again_ever_later(
    harness: FitnessHarness,
) -> None:
    harness.fitness.fails(MAIN, "no credentials")
    assert (harness.fitness.serves(MAIN), harness.fitness.serving()) == (False, frozenset())
    waited = []
    for _ in range(6):
        begun = harness.time.now
        while not harness.fitness.retry(MAIN):
            harness.time.now += 1
        harness.fitness.fails(MAIN, "no credentials")
        waited.append(harness.time.now - begun)
    assert waited == [5, 10, 20, 40, 60, 60]


def test_mended_it_serves_again(harness: FitnessHarness) -> None:
    harness.fitness.fails(MAIN, "no credentials")
    harness.fitness.mended(MAIN)
    assert harness.fitness.serves(MAIN)
    assert harness.fitness.troubles() == []
    assert not harness.fitness.retry(MAIN)


def test_trouble_that_comes_back_at_once_was_never_gone(harness: FitnessHarness) -> None:
    harness.fitness.fails(MAIN, "no credentials")
    harness.time.now += 50
    harness.fitness.mended(MAIN)
    harness.time.now += 50
    harness.fitness.fails(MAIN, "no credentials")
    [trouble] = harness.fitness.troubles()
    assert trouble.seconds == 100


def test_an_unknown_sender_ails_that_sender_alone(harness: FitnessHarness) -> None:
    harness.fitness.fails(MAIN, "no such sender", NEWS)
    assert not harness.fitness.serves(MAIN, NEWS)
    assert harness.fitness.serves(MAIN)
    harness.time.now += 1000
    assert harness.fitness.troubles() == []


def test_nobody_can_send_once_every_worker_has_long_had_the_trouble(
    harness: FitnessHarness,
) -> None:
    one, two, other = harness.fitness, harness.worker("there:2"), harness.worker("there:3", OTHER)
    workers = (("here:1", one), ("there:2", two), ("there:3", other))
    one.fails(MAIN, "no credentials")
    harness.time.now += 121
    harness.announce(*workers)
    assert not one.nobody_can(MAIN)
    two.fails(MAIN, "no credentials")
    harness.time.now += 60
    harness.announce(*workers)
    assert not one.nobody_can(MAIN)
    harness.time.now += 61
    harness.announce(*workers)
    assert one.nobody_can(MAIN)
    assert not one.nobody_can(MAIN, NEWS)
