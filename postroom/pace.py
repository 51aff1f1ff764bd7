"""How fast a campaign goes right now, for those who watch it."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from postroom.clock import Clock
from postroom.model import State, Status

_WINDOW_SECONDS: Final = 5.0
_OVER: Final = frozenset({State.FINISHED, State.CANCELLED, State.EXPIRED, State.HALTED})


def over(status: Status) -> bool:
    """Whether nothing more will happen by itself: it ended, or it waits for a person."""
    if status.state is State.HALTED:
        return status.totals.sending == 0
    return status.state in _OVER and status.totals.pending + status.totals.sending == 0


def paced(statuses: Iterable[Status], clock: Clock) -> Iterator[Status]:
    """Yield each status with the rate of the last seconds in place of the rate since the start."""
    seen: deque[tuple[float, int]] = deque()
    for status in statuses:
        now = clock()
        seen.append((now, status.totals.accepted))
        while len(seen) > 2 and now - seen[1][0] >= _WINDOW_SECONDS:
            seen.popleft()
        then, accepted = seen[0]
        if status.finished_at is not None or now <= then:
            yield status
            continue
        rate = (status.totals.accepted - accepted) / (now - then)
        yield replace(status, achieved_rate=rate, eta_seconds=_eta(status, rate))


def _eta(status: Status, rate: float) -> float | None:
    """Put the rate of the last seconds in place of the one the status reckons with."""
    reckoned = status.achieved_rate or status.allowed_rate
    if status.eta_seconds is None or not rate or not reckoned:
        return status.eta_seconds
    remaining = status.totals.pending + status.totals.sending
    return max(0.0, status.eta_seconds - remaining / reckoned + remaining / rate)
