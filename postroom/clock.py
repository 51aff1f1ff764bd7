"""The one home of time: everything else is handed a clock and a sleep."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

Sleep = Callable[[float], object]
"""Waits for so many seconds; may return early when the process is asked to stop."""


class Clock(Protocol):
    """Tells the time in Unix seconds."""

    def __call__(self) -> float: ...


def now() -> float:
    """Unix seconds by this host's clock. Budgets and leases use Redis' clock instead."""
    return time.time()


def sleep(seconds: float) -> None:
    """Sleep so many seconds; for the top of a process, which hands it down."""
    time.sleep(seconds)  # noqa: TID251 - this is its home


def utc(seconds: float) -> datetime:
    """Return Unix seconds as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, tz=UTC)
