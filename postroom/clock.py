"""The one home of time: everything else is handed a clock and a sleep."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

_BOOTTIME: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

Sleep = Callable[[float], object]
"""Waits for so many seconds; may return early when the process is asked to stop."""


class Clock(Protocol):
    """Tells the time in seconds: Unix seconds, or since some moment that only differences show."""

    def __call__(self) -> float: ...


def now() -> float:
    """Unix seconds by this host's clock. Budgets and leases use Redis' clock instead."""
    return time.time()


def monotonic() -> float:
    """Seconds that only ever go on, whatever is done to the date: for how long something lasts."""
    return time.monotonic()


def boottime() -> float:
    """As `monotonic`, and where the host tells it (Linux), through the sleep of host or VM too."""
    return time.clock_gettime(_BOOTTIME)


def sleep(seconds: float) -> None:
    """Sleep so many seconds; for the top of a process, which hands it down."""
    time.sleep(seconds)  # noqa: TID251 - this is its home


def utc(seconds: float) -> datetime:
    """Return Unix seconds as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, tz=UTC)


def utc_in(seconds: float) -> datetime:
    """Return the date and time so many seconds from now: to tell a person, not to measure by."""
    return utc(now() + seconds)
