"""Places for SendEmail calls: taken in line, an eighth kept for transactional mail."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from postroom import clock
from postroom.errors import BudgetExhaustedError
from postroom.model import Lane
from tests.support.waiting import wait_until
from worker.sending.call_pool import CallPool, Reservation


class Stop:
    asked = False

    def __call__(self) -> bool:
        return self.asked


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def pool(stop: Stop) -> CallPool:
    return CallPool(16, clock=clock.monotonic, stopping=stop, max_wait_seconds=60.0)


@pytest.fixture
def threads(stop: Stop) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads
        stop.asked = True


def full(pool: CallPool, lane: Lane = Lane.TRANSACTIONAL) -> Reservation:
    places = pool.reserve(lane, 1)
    places.fit(100)
    return places


def in_line(pool: CallPool, lane: Lane, count: int = 1) -> None:
    wait_until(lambda: len(pool._lines[lane]) == count, f"{count} wait")


def test_bulk_leaves_an_eighth_to_transactional_mail(pool: CallPool) -> None:
    bulk = pool.reserve(Lane.BULK, 1)
    assert bulk.fit(100) == 14
    transactional = pool.reserve(Lane.TRANSACTIONAL, 1)
    assert transactional.fit(100) == 2


def test_places_are_there_again_once_given_back(pool: CallPool) -> None:
    with pool.reserve(Lane.BULK, 1) as places:
        assert places.fit(5) == 5
        assert places.fit(3) == 3
        assert pool.room(Lane.TRANSACTIONAL) == 13
    assert pool.room(Lane.TRANSACTIONAL) == 16


def test_as_many_are_reserved_as_are_wanted_and_free(pool: CallPool) -> None:
    assert pool.reserve(Lane.BULK, 5).places == 5
    assert pool.reserve(Lane.BULK, 50).places == 9


def test_who_waits_for_the_rate_holds_one_place(pool: CallPool) -> None:
    places = pool.reserve(Lane.BULK, 10)
    places.narrow()
    assert (places.places, pool.room(Lane.TRANSACTIONAL)) == (1, 15)


def test_the_first_in_line_gathers_a_call_worth_making(
    stop: Stop, threads: ThreadPoolExecutor
) -> None:
    moment = [0.0]
    pool = CallPool(16, clock=lambda: moment[0], stopping=stop, max_wait_seconds=60.0)
    full(pool)
    waiting = threads.submit(pool.reserve, Lane.TRANSACTIONAL, 50)
    in_line(pool, Lane.TRANSACTIONAL)
    pool.give_back(3)
    with pytest.raises(TimeoutError):
        waiting.result(timeout=0.2)
    pool.give_back(1)
    assert waiting.result(timeout=60).places == 4


def test_the_first_in_line_takes_what_there_is_before_long(
    stop: Stop, threads: ThreadPoolExecutor
) -> None:
    moment = [0.0]
    pool = CallPool(16, clock=lambda: moment[0], stopping=stop, max_wait_seconds=60.0)
    full(pool)
    waiting = threads.submit(pool.reserve, Lane.TRANSACTIONAL, 50)
    in_line(pool, Lane.TRANSACTIONAL)
    pool.give_back(3)
    moment[0] = 1.0
    assert waiting.result(timeout=60).places == 3


def test_who_waits_gets_his_place_in_his_turn(pool: CallPool, threads: ThreadPoolExecutor) -> None:
    held = full(pool)
    waiting: list[Future[Reservation]] = []
    for number in range(3):
        waiting.append(threads.submit(pool.reserve, Lane.TRANSACTIONAL, 1))
        in_line(pool, Lane.TRANSACTIONAL, number + 1)
    for one in waiting:
        pool.give_back(1)
        one.result(timeout=5)
        assert not any(later.done() for later in waiting[waiting.index(one) + 1 :])
    held._places -= 3


def test_nobody_widens_past_who_waits(pool: CallPool, threads: ThreadPoolExecutor) -> None:
    bulk = full(pool, Lane.BULK)
    waiting = threads.submit(pool.reserve, Lane.BULK, 1)
    in_line(pool, Lane.BULK)
    assert bulk.fit(16) == 14
    pool.give_back(1)
    waiting.result(timeout=5)


def test_transactional_mail_waits_behind_no_bulk(
    pool: CallPool, threads: ThreadPoolExecutor
) -> None:
    full(pool)
    bulk = threads.submit(pool.reserve, Lane.BULK, 1)
    in_line(pool, Lane.BULK)
    message = threads.submit(pool.reserve, Lane.TRANSACTIONAL, 1)
    in_line(pool, Lane.TRANSACTIONAL)
    pool.give_back(3)
    message.result(timeout=5)
    assert not bulk.done()
    pool.give_back(1)
    bulk.result(timeout=5)


def test_a_long_wait_parks_the_batch(stop: Stop) -> None:
    pool = CallPool(1, clock=clock.monotonic, stopping=stop, max_wait_seconds=0.0)
    with pool.reserve(Lane.BULK, 1), pytest.raises(BudgetExhaustedError) as wait:
        pool.reserve(Lane.BULK, 1)
    assert wait.value.seconds == 0
    assert pool.room(Lane.BULK) == 1


def test_a_stop_ends_the_wait(pool: CallPool, threads: ThreadPoolExecutor, stop: Stop) -> None:
    full(pool)
    waiting = threads.submit(pool.reserve, Lane.BULK, 1)
    in_line(pool, Lane.BULK)
    stop.asked = True
    assert isinstance(waiting.exception(timeout=5), BudgetExhaustedError)
    assert pool.room(Lane.TRANSACTIONAL) == 0
