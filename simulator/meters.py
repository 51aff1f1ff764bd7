"""The two ways SES counts: a bucket that may fall into debt, and a rolling window."""

from array import array
from typing import Final

_WORTH_COMPACTING: Final = 4096


class Bucket:
    """Refilled at `rate` a second up to `capacity`; open while above zero, then may go into debt.

    So one message to five recipients passes at a rate of one, and the debt is paid off after it.
    """

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._level = capacity
        self._at = now

    def is_open(self, now: float) -> bool:
        self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level > 0

    def take(self, count: int) -> None:
        self._level -= count


class Window:
    """What was counted in the last `seconds`, exactly, and the most that ever was.

    A moment `t` belongs to the window that ends at `now` when `now - seconds < t <= now`.
    Twelve to sixteen bytes a moment: a day of a million single sends has to fit in memory.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.peak = 0
        self._total = 0
        self._times = array("d")
        self._counts = array("L")
        self._head = 0

    def add(self, count: int, now: float) -> None:
        self._expire(now)
        if self._times and self._times[-1] == now:
            self._counts[-1] += count
        else:
            self._times.append(now)
            self._counts.append(count)
        self._total += count
        self.peak = max(self.peak, self._total)

    def total(self, now: float) -> int:
        self._expire(now)
        return self._total

    def resized(self, seconds: float, now: float) -> "Window":
        """The same moments under another length; a longer one cannot bring back what is gone."""
        other = Window(seconds)
        for at, count in zip(self._times[self._head :], self._counts[self._head :], strict=True):
            other.add(count, at)
        other._expire(now)
        return other

    def _expire(self, now: float) -> None:
        edge, times, head = now - self.seconds, self._times, self._head
        while head < len(times) and times[head] <= edge:
            self._total -= self._counts[head]
            head += 1
        if head > _WORTH_COMPACTING and head * 2 > len(times):
            del self._times[:head], self._counts[:head]
            head = 0
        self._head = head
