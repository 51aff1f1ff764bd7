"""The wish that this process stops: what waits, wakes; what loops, parks; what settles, hurries."""

import threading
from typing import Final

from postroom.clock import Clock


class Stopping:
    """Asked for once, from a signal; seen by every thread."""

    def __init__(self, clock: Clock, *, grace_seconds: float) -> None:
        self._clock: Final = clock
        self._grace: Final = grace_seconds
        self._event: Final = threading.Event()
        self._asked_at = 0.0

    def ask(self) -> None:
        """Ask the process to stop. Safe to call again."""
        if not self._event.is_set():
            self._asked_at = self._clock()
            self._event.set()

    def asked(self) -> bool:
        return self._event.is_set()

    def overdue(self) -> bool:
        """Whether even what must still be settled has had its time."""
        return self.asked() and self._clock() - self._asked_at > self._grace

    def sleep(self, seconds: float) -> None:
        """Sleep so long, or until the process is asked to stop."""
        self._event.wait(seconds)
