"""Waiting for Redis, for as long as this process is not asked to stop."""

from collections.abc import Callable
from threading import Event
from typing import Final, TypeVar

from postroom.errors import PostroomError, StoreUnavailableError

_PAUSE_SECONDS: Final = 1.0
_Answer = TypeVar("_Answer")


class StopRequested(PostroomError):  # noqa: N818 - an order, not a fault
    """The process is to end: leave what is at hand to another."""


class StoreRetry:
    """Asks again while Redis is away. Raises `StopRequested` once the process is to end."""

    def __init__(self, stop: Event) -> None:
        self._stop: Final = stop

    def ask(self, step: Callable[[], _Answer]) -> _Answer:
        """Take a step that may safely be repeated, until Redis answers."""
        while True:
            self.check()
            try:
                return step()
            except StoreUnavailableError:
                self._stop.wait(_PAUSE_SECONDS)

    def wait(self, seconds: float = _PAUSE_SECONDS) -> None:
        self._stop.wait(seconds)
        self.check()

    def check(self) -> None:
        if self._stop.is_set():
            raise StopRequested("this producer is shutting down")
