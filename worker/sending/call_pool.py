"""The SendEmail calls that one process has in flight, whichever batch they are of.

A place is reserved before the ledger is told of a call and given back after its answer is
settled, so nothing is `sending` that is not leaving.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self, TypeVar

from postroom.clock import Clock
from postroom.errors import BudgetExhaustedError
from postroom.model import Lane

T = TypeVar("T")
R = TypeVar("R")

_KEPT_PART: Final = 8
"""One in so many places takes transactional mail only, as with a worker's slots."""
_LOOK_SECONDS: Final = 0.1
"""How often who waits for a place looks whether the process stops."""
_GATHER_PART: Final = 4
_GATHER_SECONDS: Final = 0.05
"""Who is first in line waits so long for one in so many places: a call costs four scripts,
however many mails go in it, and to take single places as they come made a mail a third dearer."""


class CallPool:
    """Threads for calls that wait for the network, one for each place; shared by all batches."""

    def __init__(
        self, size: int, *, clock: Clock, stopping: Callable[[], bool], max_wait_seconds: float
    ) -> None:
        self._threads: Final = ThreadPoolExecutor(size, thread_name_prefix="send-email")
        self._clock: Final = clock
        self._stopping: Final = stopping
        self._max_wait: Final = max_wait_seconds
        self._changed: Final = threading.Condition()
        self._lines: Final[Mapping[Lane, deque[object]]] = {lane: deque() for lane in Lane}
        self._kept: Final = {Lane.TRANSACTIONAL: 0, Lane.BULK: size // _KEPT_PART}
        self._gather: Final = max(1, size // _GATHER_PART)
        self._free = size

    def reserve(self, lane: Lane, most: int) -> "Reservation":
        """Wait in line for places: at least one, up to `most` of what is free then.

        Bulk mail leaves some free, so that transactional mail never waits behind slow bulk.
        Raises `BudgetExhaustedError` when the wait is long or the process stops.
        """
        with self._changed:
            self._wait_for_room(lane, min(most, self._gather))
            places = min(most, self._free_for(lane))
            self._free -= places
            self._changed.notify_all()
        return Reservation(self, lane, places)

    def room(self, lane: Lane) -> int:
        """How many more places could be taken now without taking anybody's turn."""
        with self._changed:
            return self._room(lane)

    def take(self, most: int, lane: Lane) -> int:
        """Take what is free at this moment, up to `most`; return how many places that is."""
        with self._changed:
            taken = min(most, self._room(lane))
            self._free -= taken
        return taken

    def give_back(self, places: int) -> None:
        with self._changed:
            self._free += places
            self._changed.notify_all()

    def run(self, call: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """Make a call for each item, all at once; return the answers in order when all are in."""
        if len(items) == 1:
            return [call(items[0])]
        return list(self._threads.map(call, items))

    def _wait_for_room(self, lane: Lane, enough: int) -> None:
        until = self._clock() + self._max_wait
        line, mine, first_at = self._lines[lane], object(), None
        line.append(mine)
        try:
            while True:
                if line[0] is mine:
                    first_at = self._clock() if first_at is None else first_at
                    gathering = self._clock() - first_at < _GATHER_SECONDS
                    if self._free_for(lane) >= (enough if gathering else 1):
                        return
                self._check_wait(until)
                self._changed.wait(_LOOK_SECONDS if first_at is None else _GATHER_SECONDS)
        finally:
            line.remove(mine)
            self._changed.notify_all()

    def _check_wait(self, until: float) -> None:
        if self._stopping():
            raise BudgetExhaustedError("the worker is stopping", seconds=0.0)
        if self._clock() >= until:
            raise BudgetExhaustedError(
                "as many SendEmail calls as one worker makes are in flight", seconds=0.0
            )

    def _room(self, lane: Lane) -> int:
        return 0 if self._lines[lane] else self._free_for(lane)

    def _free_for(self, lane: Lane) -> int:
        if lane is Lane.BULK and self._lines[Lane.TRANSACTIONAL]:
            return 0
        return max(0, self._free - self._kept[lane])


class Reservation:
    """Places that one batch holds until its calls are settled. Used by one thread."""

    def __init__(self, pool: CallPool, lane: Lane, places: int) -> None:
        self._pool: Final = pool
        self._lane: Final = lane
        self._places = places

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.give_back(self._places)

    @property
    def places(self) -> int:
        """How many are held."""
        return self._places

    def narrow(self) -> None:
        """Hold one place only: who waits for the rate holds up no account that does not."""
        self.fit(1)

    def fit(self, most: int) -> int:
        """Hold `most` places, or as many as are free at this moment; return how many."""
        if most > self._places:
            self._places += self._pool.take(most - self._places, self._lane)
        elif most < self._places:
            self._pool.give_back(self._places - most)
            self._places = most
        return self._places

    def run(self, call: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """Make a call for each item at once, in the places held."""
        return self._pool.run(call, items)
