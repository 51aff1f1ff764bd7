"""How long to wait before asking again; the numbers are settings, the policies are values."""

import random
from collections.abc import Callable
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from postroom.clock import Sleep
from postroom.errors import StoreUnavailableError
from postroom.settings import Retry

_STORE_BASE_SECONDS: Final = 0.05
_STORE_CAP_SECONDS: Final = 1.0


def backoff_seconds(policy: Retry, failures: int) -> float:
    """Return how long to wait after so many failures in a row: full jitter, doubling, capped."""
    # https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    doublings = min(failures - 1, 30)
    most = min(policy.cap_seconds, policy.base_seconds * 2**doublings)
    return random.uniform(0.0, most)  # noqa: S311 - it spreads callers out, it guards nothing


def store_waits(sleep: Sleep, should_stop: Callable[[], bool]) -> Retrying:
    """Return the policy for a Redis that is away: ask again, for as long as it takes.

    Raises the last `StoreUnavailableError` once `should_stop` says so. Safe to share between
    threads.
    """

    def stop(_: RetryCallState) -> bool:
        return should_stop()

    def pause(seconds: float) -> None:
        sleep(seconds)

    return Retrying(
        retry=retry_if_exception_type(StoreUnavailableError),
        wait=wait_random_exponential(multiplier=_STORE_BASE_SECONDS, max=_STORE_CAP_SECONDS),
        stop=stop,
        sleep=pause,
        reraise=True,
    )
