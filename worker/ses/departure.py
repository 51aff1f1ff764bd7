"""The moment at which a call leaves this process: before it nothing was sent, after it who knows.

botocore tells of it on the calling thread, after credentials and signature and just before the
request goes out. What a broken call may have done is decided by that, never by its address.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from postroom.errors import PostroomError

Gate = Callable[[], str]
"""Asked just before a call leaves: why it must not any more, or nothing."""


def always_open() -> str:
    """The gate of a call that may leave whenever it does."""
    return ""


class HeldBackError(PostroomError):
    """The gate was closed: the call did not leave."""


@dataclass(slots=True)
class Departure:
    """One call on its way out."""

    gate: Gate
    left: bool = False
    """Whether the request may have gone out, in whole or in part."""

    def go(self) -> None:
        """Raises `HeldBackError`."""
        if why := self.gate():
            raise HeldBackError(why)
        self.left = True


class _Leaving(threading.local):
    departure: Departure | None = None


_leaving = _Leaving()


@contextmanager
def leaving(departure: Departure) -> Iterator[None]:
    """Let the clients that this thread calls tell `departure` when the request goes out."""
    _leaving.departure = departure
    try:
        yield
    finally:
        _leaving.departure = None


def watch(client: Any) -> None:
    """Let a client for sends tell of its departures."""
    client.meta.events.register("before-send.sesv2", _tell)


def _tell(**_: object) -> None:
    if _leaving.departure is not None:
        _leaving.departure.go()
