"""The two meters, against a slow and obvious count."""

import random

from simulator.meters import Bucket, Window


def brute_force_peak(moments: list[tuple[float, int]], seconds: float) -> int:
    return max(
        sum(count for at, count in moments if end - seconds < at <= end) for end, _ in moments
    )


def test_the_busiest_window_is_found_wherever_it_starts() -> None:
    draw = random.Random(7)
    for _ in range(50):
        now, moments, window = 0.0, [], Window(1.0)
        for _ in range(120):
            now += draw.choice([0.0, 0.01, 0.3, 1.0])
            count = draw.randint(1, 50)
            moments.append((now, count))
            window.add(count, now)
        assert window.peak == brute_force_peak(moments, 1.0)


def test_a_moment_leaves_the_window_when_it_is_exactly_as_old_as_the_window() -> None:
    window = Window(10.0)
    window.add(3, 100.0)
    assert (window.total(109.999), window.total(110.0)) == (3, 0)


def test_the_window_stays_right_after_it_has_thrown_old_moments_away() -> None:
    window = Window(100.0)
    for moment in range(20_000):
        window.add(1, float(moment))
    assert (window.total(19_999.0), window.peak) == (100, 100)


def test_a_window_made_shorter_forgets_what_is_too_old_for_it() -> None:
    window = Window(10.0)
    window.add(5, 1.0)
    window.add(7, 8.0)
    assert window.resized(3.0, 9.0).total(9.0) == 7


def test_the_bucket_goes_into_debt_for_a_message_to_several_and_pays_it_off() -> None:
    bucket = Bucket(rate=1.0, capacity=1.0, now=0.0)
    assert bucket.is_open(0.0)
    bucket.take(5)
    assert (bucket.is_open(3.9), bucket.is_open(4.1)) == (False, True)


def test_the_bucket_never_holds_more_than_its_capacity() -> None:
    bucket = Bucket(rate=10.0, capacity=10.0, now=0.0)
    passed = 0
    while bucket.is_open(1000.0):
        bucket.take(1)
        passed += 1
    assert passed == 10


def test_no_stretch_of_time_lets_more_pass_than_the_capacity_and_the_refill() -> None:
    draw = random.Random(11)
    bucket, now, passed = Bucket(rate=20.0, capacity=20.0, now=0.0), 0.0, 0
    while now < 50.0:
        now += draw.random() / 40
        if bucket.is_open(now):
            bucket.take(1)
            passed += 1
            assert passed <= 20 + 20 * now + 1
    assert passed > 20 * 49
