"""Threads that read accounts from SES: each may take long, and none keeps a process from ending."""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from postroom.errors import StoreUnavailableError

log = structlog.get_logger()

_MOST: Final = 64
"""Readings at once: at 40 ms each this is a thousand accounts in a second, and when SES hangs,
it is so many threads that wait."""


class ReadingThreads:
    """An account that hangs holds up neither the other accounts nor the upkeep."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._reading = 0

    @property
    def room(self) -> int:
        """How many more readings may begin now."""
        return _MOST - self._reading

    def run(self, look: Callable[[], None]) -> None:
        """Read in a thread of its own. A fault is logged."""
        with self._lock:
            self._reading += 1
        threading.Thread(target=self._look, args=(look,), name="quota", daemon=True).start()

    def _look(self, look: Callable[[], None]) -> None:
        try:
            look()
        except StoreUnavailableError as error:
            log.warning("redis.away", reason=str(error))
        except Exception:
            log.exception("account.unread")
        finally:
            with self._lock:
                self._reading -= 1
