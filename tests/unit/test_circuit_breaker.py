"""An outage is noticed after some calls, rests longer each time, and ends with the first mail."""

import pytest

from postroom.model import AccountName, OnAmbiguous
from worker.account.circuit_breaker import CircuitBreaker
from worker.ses.verdict import Kind

MAIN, OTHER = AccountName("main"), AccountName("other")


class Time:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> CircuitBreaker:
    return CircuitBreaker(time, calls=3, rest_seconds=10, longest_rest_seconds=60)


def broken(breaker: CircuitBreaker, calls: int = 1) -> list[float]:
    return [breaker.note(MAIN, [Kind.AMBIGUOUS], OnAmbiguous.SKIP) for _ in range(calls)]


def test_the_third_broken_call_in_a_row_is_one(breaker: CircuitBreaker) -> None:
    assert broken(breaker, 3) == [0, 0, 10]
    assert breaker.suspected(MAIN)
    assert not breaker.suspected(OTHER)


def test_a_mail_that_was_taken_ends_it(breaker: CircuitBreaker) -> None:
    broken(breaker, 3)
    assert breaker.note(MAIN, [Kind.ACCEPTED, Kind.AMBIGUOUS], OnAmbiguous.SKIP) == 0
    assert not breaker.suspected(MAIN)
    assert broken(breaker, 2) == [0, 0]


def test_the_rests_grow_up_to_the_longest(breaker: CircuitBreaker, time: Time) -> None:
    broken(breaker, 2)
    rests = []
    for _ in range(5):
        rests += broken(breaker)
        time.now += rests[-1]
    assert rests == [10, 20, 40, 60, 60]


def test_calls_that_were_in_flight_do_not_prolong_a_rest(
    breaker: CircuitBreaker, time: Time
) -> None:
    broken(breaker, 3)
    time.now += 4
    assert broken(breaker, 5) == [6] * 5


@pytest.mark.parametrize("kind", [Kind.TRANSIENT, Kind.THROTTLED, Kind.REJECTED])
def test_what_ses_answers_is_no_outage(breaker: CircuitBreaker, kind: Kind) -> None:
    assert [breaker.note(MAIN, [kind], OnAmbiguous.SKIP) for _ in range(9)] == [0] * 9


def test_a_call_that_brought_nothing_says_nothing(breaker: CircuitBreaker) -> None:
    broken(breaker, 2)
    assert breaker.note(MAIN, [], OnAmbiguous.SKIP) == 0
    assert broken(breaker) == [10]
