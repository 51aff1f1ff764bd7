"""What every worker process does about once a second, beside sending.

It says how many batches it can take, keeps the quota true, wakes campaigns whose rest is over,
releases batches and sweeps. Locks on Redis let one process do each, and none is missed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from postroom.errors import StoreUnavailableError
from postroom.janitor import Janitor
from postroom.model import Lane
from postroom.store.dispatch import Dispatch
from worker.stopping import Stopping

log = structlog.get_logger()

_SWEEP_SECONDS: Final = 3.0
_RESERVED_PART: Final = 8
"""One in so many slots takes transactional mail only."""


class Quota(Protocol):
    def tick(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """One process' upkeep."""

    worker: str
    slots: dict[Lane, int]
    dispatch: Dispatch
    quota: Quota
    janitor: Janitor
    release: Callable[[], int]
    redis_seconds: Callable[[], float]
    tick_seconds: float
    stopping: Stopping

    def run(self) -> None:
        """Work until the process stops. Redis being away is waited out."""
        away = False
        while not self.stopping.asked():
            try:
                self.tick()
                away = False
            except StoreUnavailableError as error:
                if not away:
                    log.warning("redis.away", reason=str(error))
                away = True
            except Exception:
                log.exception("upkeep.failed")
            self.stopping.sleep(self.tick_seconds)

    def tick(self) -> None:
        """Do what is due. The quota comes first: nothing can be sent before it is known."""
        self.quota.tick()
        self.dispatch.announce(self.worker, self.slots)
        if self.janitor.live.once("tick", seconds=self.tick_seconds * 0.9):
            for route in self.dispatch.sleepers():
                self.dispatch.wake(route)
            self.release()
        if self.janitor.live.once("sweep", seconds=_SWEEP_SECONDS):
            self._sweep()

    def _sweep(self) -> None:
        for finding in self.janitor.sweep(now=self.redis_seconds()):
            log.info("janitor.repaired", campaign_id=finding.campaign_id, what=finding.what)

    def retire(self) -> None:
        """Take no more batches: others get what would have come here."""
        try:
            self.dispatch.retire(self.worker)
        except StoreUnavailableError:
            log.warning("redis.away", reason="the worker's slots lapse by themselves")


def slots_of(concurrency: int) -> dict[Lane, int]:
    """Keep some slots free of bulk work, so that transactional mail never waits for one."""
    reserved = max(1, concurrency // _RESERVED_PART) if concurrency > 1 else 0
    return {Lane.BULK: concurrency - reserved, Lane.TRANSACTIONAL: concurrency}
