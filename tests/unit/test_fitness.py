"""What keeps one process from sending: when it tries again, and when nobody can send."""

from dataclasses import dataclass, field

import pytest

from postroom.model import AccountName, SenderName
from postroom.store.presence import Worker
from worker.fitness import Fitness

MAIN, OTHER = AccountName("main"), AccountName("other")
NEWS = SenderName("news")


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class House:
    """This worker and those beside it."""

    time: Time = field(default_factory=Time)
    beside: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fitness = self.worker("here:1")

    def worker(self, name: str, *accounts: AccountName) -> Fitness:
        return Fitness(
            self.time, name, accounts or (MAIN,), there=lambda: self.beside, agree_seconds=120.0
        )

    def announce(self, *workers: tuple[str, Fitness]) -> None:
        self.beside = [
            Worker(
                name=name,
                accounts=one.accounts,
                serving=one.serving(),
                troubles=tuple(one.troubles()),
            )
            for name, one in workers
        ]


@pytest.fixture
def house() -> House:
    return House()


def test_an_account_that_the_settings_do_not_have_is_not_served(house: House) -> None:
    assert house.fitness.serves(MAIN)
    assert not house.fitness.serves(OTHER)
    assert "no account 'other'" in house.fitness.reason(OTHER)


def test_trouble_takes_it_out_of_the_account_and_is_tried_again_ever_later(house: House) -> None:
    house.fitness.fails(MAIN, "no credentials")
    assert (house.fitness.serves(MAIN), house.fitness.serving()) == (False, frozenset())
    waited = []
    for _ in range(6):
        begun = house.time.now
        while not house.fitness.retry(MAIN):
            house.time.now += 1
        house.fitness.fails(MAIN, "no credentials")
        waited.append(house.time.now - begun)
    assert waited == [5, 10, 20, 40, 60, 60]


def test_mended_it_serves_again(house: House) -> None:
    house.fitness.fails(MAIN, "no credentials")
    house.fitness.mended(MAIN)
    assert house.fitness.serves(MAIN)
    assert house.fitness.troubles() == []
    assert not house.fitness.retry(MAIN)


def test_trouble_that_comes_back_at_once_was_never_gone(house: House) -> None:
    house.fitness.fails(MAIN, "no credentials")
    house.time.now += 50
    house.fitness.mended(MAIN)
    house.time.now += 50
    house.fitness.fails(MAIN, "no credentials")
    [trouble] = house.fitness.troubles()
    assert trouble.seconds == 100


def test_an_unknown_sender_ails_that_sender_alone(house: House) -> None:
    house.fitness.fails(MAIN, "no such sender", NEWS)
    assert not house.fitness.serves(MAIN, NEWS)
    assert house.fitness.serves(MAIN)
    house.time.now += 1000
    assert house.fitness.troubles() == []


def test_nobody_can_send_once_every_worker_has_long_had_the_trouble(house: House) -> None:
    one, two, other = house.fitness, house.worker("there:2"), house.worker("there:3", OTHER)
    workers = (("here:1", one), ("there:2", two), ("there:3", other))
    one.fails(MAIN, "no credentials")
    house.time.now += 121
    house.announce(*workers)
    assert not one.nobody_can(MAIN)
    two.fails(MAIN, "no credentials")
    house.time.now += 60
    house.announce(*workers)
    assert not one.nobody_can(MAIN)
    house.time.now += 61
    house.announce(*workers)
    assert one.nobody_can(MAIN)
    assert not one.nobody_can(MAIN, NEWS)
