"""Says once in a while that this producer is there, and what the senders mean to it."""

import os
import socket
from itertools import count
from threading import Event
from typing import Final

import structlog

from postroom.errors import StoreUnavailableError
from postroom.health.announcing import OwnProcess
from postroom.meaning import meanings
from postroom.settings import Settings
from postroom.store import presence
from postroom.store.connection import Store
from postroom.store.sender_registry import Rank, SenderRegistry

log = structlog.get_logger()

_BEATS_A_MEANING: Final = 10


class Heartbeat:
    """One producer process' heartbeat."""

    def __init__(self, store: Store, settings: Settings, process: OwnProcess, slots: int) -> None:
        self._store: Final = store
        self._registry: Final = SenderRegistry(store)
        self._means: Final = meanings(settings)
        self._seconds: Final = settings.dispatch.tick_seconds
        self._process: Final = process
        self._slots: Final = slots
        self.name: Final = f"{socket.gethostname()}:{os.getpid()}"

    def run(self, stop: Event) -> None:
        """Beat until the process stops. Redis being away is waited out."""
        told = False
        for number in count():
            try:
                self.beat()
                if number % _BEATS_A_MEANING == 0 or not told:
                    rank = Rank.PRODUCER if told else Rank.STARTED
                    self._registry.announce_meanings(self._means, rank)
                    told = True
            except StoreUnavailableError as error:
                log.debug("redis.away", reason=str(error))
            except Exception:
                log.exception("heartbeat.failed")
            if stop.wait(self._seconds):
                break
        self._retire()

    def beat(self) -> None:
        """Raises `StoreUnavailableError`."""
        presence.announce_producer(self._store, self.name, self._process.about(self._slots))

    def _retire(self) -> None:
        try:
            presence.retire_producer(self._store, self.name)
        except StoreUnavailableError:
            log.debug("redis.away", reason="the announcement lapses by itself")
