"""Notices when SES as a whole fails, so that an outage costs as few recipients as it can.

Each call that breaks after it has left leaves its recipients in doubt for good. After some calls
in a row, of whichever campaign, that brought nothing else, the account rests, longer each time;
in between, calls of one recipient try whether SES is back. A fault that may be one recipient's
own, and is tried again, is no sign of an outage: it would never be given up.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from postroom.clock import Clock
from postroom.model import AccountName, OnAmbiguous
from worker.ses.verdict import Kind

_SIGNS: Final = {
    OnAmbiguous.SKIP: frozenset({Kind.UNREACHABLE, Kind.AMBIGUOUS}),
    OnAmbiguous.RESEND: frozenset({Kind.UNREACHABLE}),
}


@dataclass(slots=True)
class _Streak:
    """Calls in a row that brought nothing but faults."""

    calls: int = 0
    rests: int = 0
    until: float = 0.0


class CircuitBreaker:
    """What one process has seen of each account; its threads share it."""

    def __init__(
        self, clock: Clock, *, calls: int, rest_seconds: float, longest_rest_seconds: float
    ) -> None:
        """It is one after so many `calls` in a row; the rests double from the first."""
        self._clock: Final = clock
        self._calls: Final = calls
        self._rest: Final = rest_seconds
        self._longest: Final = longest_rest_seconds
        self._lock: Final = threading.Lock()
        self._streaks: Final[dict[AccountName, _Streak]] = {}

    def suspected(self, account: AccountName) -> bool:
        """Whether the next call is a trial, and should risk one recipient only."""
        streak = self._streaks.get(account)
        return streak is not None and streak.calls >= self._calls

    def note(self, account: AccountName, kinds: Iterable[Kind], policy: OnAmbiguous) -> float:
        """Note what a call brought; return for how many seconds the account should rest."""
        brought = frozenset(kinds) - {Kind.UNSENT}
        if not brought:
            return 0.0
        with self._lock:
            if not brought <= _SIGNS[policy]:
                self._streaks.pop(account, None)
                return 0.0
            return self._fault(self._streaks.setdefault(account, _Streak()))

    def _fault(self, streak: _Streak) -> float:
        streak.calls += 1
        now = self._clock()
        if streak.calls >= self._calls and now >= streak.until:
            # Calls that were in flight when the rest began end in it, and make it no longer.
            streak.until = now + min(self._longest, self._rest * 2**streak.rests)
            streak.rests = min(streak.rests + 1, 16)
        return max(0.0, streak.until - now)
