"""How long is waited, and until when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom import settings
from postroom.errors import RefusedError, StoreUnavailableError
from worker.sending.retry import backoff_seconds, store_waits

POLICY = settings.load({}).retry


@given(failures=st.integers(min_value=1, max_value=10_000))
def test_the_backoff_doubles_up_to_its_cap(failures: int) -> None:
    most = min(POLICY.cap_seconds, POLICY.base_seconds * 2 ** min(failures - 1, 20))
    assert 0.0 <= backoff_seconds(POLICY, failures) <= most


def test_the_backoff_has_full_jitter() -> None:
    waits = [backoff_seconds(POLICY, 4) for _ in range(2000)]
    most = POLICY.base_seconds * 8
    assert min(waits) < most * 0.05
    assert max(waits) > most * 0.95


class Redis:
    """Away for some calls."""

    def __init__(self, *, away: int) -> None:
        self.away = away
        self.asked = 0

    def get(self, key: str, *, default: str) -> str:
        self.asked += 1
        if self.asked <= self.away:
            raise StoreUnavailableError("gone")
        return f"{key}={default}"


def test_while_redis_is_away_it_is_asked_again_after_waits_of_at_most_a_second() -> None:
    redis, waits = Redis(away=50), list[float]()
    answer = store_waits(waits.append, lambda: False)(redis.get, "a", default="b")
    assert (answer, redis.asked, len(waits)) == ("a=b", 51, 50)
    assert max(waits) <= 1.0
    assert len(set(waits)) > 25


def test_a_process_that_stops_waits_no_longer() -> None:
    redis = Redis(away=50)
    with pytest.raises(StoreUnavailableError):
        store_waits(lambda _: None, lambda: redis.asked == 3)(redis.get, "a", default="b")
    assert redis.asked == 3


def test_other_errors_are_not_waited_for() -> None:
    def refuse() -> None:
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        store_waits(pytest.fail, lambda: False)(refuse)
