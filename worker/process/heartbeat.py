"""Says once a second what this process can take. Waits for nothing else: were the announcement
to lapse because a sweep takes long, nobody would release anything for this process.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import structlog

from postroom.errors import StoreUnavailableError
from postroom.health.announcing import OwnProcess
from postroom.model import Lane
from postroom.store.dispatch import Dispatch
from worker.fitness import Fitness
from worker.stopping import Stopping

log = structlog.get_logger()

_BEATS_A_MEANING: Final = 10
_RESERVED_PART: Final = 8
"""One in so many slots takes transactional mail only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One process' heartbeat."""

    worker: str
    slots: dict[Lane, int]
    dispatch: Dispatch
    fitness: Fitness
    process: OwnProcess
    meanings: Callable[[], None]
    """Tells what the senders mean here."""
    seconds: float
    stopping: Stopping
    _beating: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def run(self) -> None:
        """Beat until the process stops. Redis being away is waited out; `upkeep` tells of it."""
        for number in count():
            if self.stopping.asked():
                return
            try:
                self.beat()
                if number % _BEATS_A_MEANING == 0:
                    self.meanings()
            except StoreUnavailableError as error:
                log.debug("redis.away", reason=str(error))
            except Exception:
                log.exception("heartbeat.failed")
            self.stopping.sleep(self.seconds)

    def beat(self) -> None:
        """Announce slots, accounts and troubles. Raises `StoreUnavailableError`."""
        with self._beating:
            if not self.stopping.asked():
                self.dispatch.announce(
                    self.worker,
                    self.slots,
                    serving=self.fitness.serving(),
                    accounts=self.fitness.accounts,
                    troubles=self.fitness.troubles(),
                    about=self.process.about(self.slots[Lane.TRANSACTIONAL]),
                )

    def retire(self) -> None:
        """Take no more batches: others get what would have come here. Call it when stopping."""
        try:
            with self._beating:  # Else a beat under way would take it back.
                self.dispatch.retire(self.worker)
        except StoreUnavailableError:
            log.warning("redis.away", reason="the worker's slots lapse by themselves")


def slots_of(concurrency: int) -> dict[Lane, int]:
    """Keep some slots free of bulk work, so that transactional mail never waits for one."""
    reserved = max(1, concurrency // _RESERVED_PART) if concurrency > 1 else 0
    return {Lane.BULK: concurrency - reserved, Lane.TRANSACTIONAL: concurrency}
