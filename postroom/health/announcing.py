"""What a process says of itself while it runs: `postroom ps` shows it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from postroom import clock
from postroom.meaning import mark_of_all, meanings
from postroom.settings import Settings
from postroom.store.presence import About
from postroom.version import __version__


class OwnProcess:
    """What the process at hand tells of itself; its threads share it."""

    def __init__(self, settings: Settings) -> None:
        self._settings: Final = mark_of_all(meanings(settings))
        self._started_at: Final = clock.now()
        self._lock: Final = threading.Lock()
        self._busy = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count a task as being in hand."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def about(self, slots: int) -> About:
        """Return what to announce now, for a process that takes so many tasks at once."""
        return About(
            version=__version__,
            started_at=self._started_at,
            slots=slots,
            busy=self._busy,
            settings=self._settings,
        )
