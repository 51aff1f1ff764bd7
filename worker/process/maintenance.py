"""What every worker process does about once a second, beside sending.

It keeps the quota true, wakes campaigns whose rest is over, releases batches and sweeps. Locks
on Redis let one process do each, and none is missed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from postroom.errors import StoreUnavailableError
from postroom.health.janitor import Janitor
from postroom.store.dispatch import Dispatch
from postroom.store.lock import Lock
from worker.account.poller import AccountPoller
from worker.stopping import Stopping

log = structlog.get_logger()

_SWEEP_SECONDS: Final = 3.0
"""Between the end of one sweep and the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """One process' upkeep."""

    dispatch: Dispatch
    quota: AccountPoller
    janitor: Janitor
    sweeping: Lock
    release: Callable[[], int]
    redis_seconds: Callable[[], float]
    close_unused: Callable[[], None]
    """Closes clients of SES."""
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
        self.close_unused()
        if self.janitor.live.once("tick", seconds=self.tick_seconds * 0.9):
            for route in self.dispatch.sleepers():
                self.dispatch.wake(route)
            self.release()
        if self.sweeping.take():
            self._sweep()

    def _sweep(self) -> None:
        for finding in self.janitor.sweep(now=self.redis_seconds(), goes_on=self.sweeping.renew):
            event = "janitor.repaired" if finding.broken else "campaign.expires"
            log.info(event, campaign_id=finding.campaign_id, what=finding.what)
        self.janitor.steering.forget_expired()
        self.sweeping.rest(_SWEEP_SECONDS)
