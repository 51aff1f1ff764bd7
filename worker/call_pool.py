"""The SendEmail calls that one process has in flight, whichever batch they are of."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class CallPool:
    """Threads for calls that wait for the network; safe to share between batches."""

    def __init__(self, size: int) -> None:
        self._size: Final = size
        self._threads: Final = ThreadPoolExecutor(size, thread_name_prefix="send-email")
        self._lock: Final = threading.Lock()
        self._taken = 0

    def free(self) -> int:
        """Return how many more calls could leave at once; at least one, which may wait a little."""
        return max(1, self._size - self._taken)

    def run(self, call: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """Make a call for each item, all at once; return the answers in order when all are in."""
        self._count(len(items))
        try:
            return list(self._threads.map(call, items))
        finally:
            self._count(-len(items))

    def _count(self, calls: int) -> None:
        with self._lock:
            self._taken += calls
