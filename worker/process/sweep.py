"""The janitor's rounds: one worker process at a time does the next step of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from postroom.health.janitor import Janitor
from postroom.store.lock import Lock

log = structlog.get_logger()

_REST_SECONDS: Final = 3.0
"""Between the end of one step and the next."""
_MOST: Final = 200
"""Mailings that one step looks at: about 20 ms of this process and Redis, so that a worker which
is idle beside tens of thousands of them stays so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One process' part in it."""

    janitor: Janitor
    lock: Lock
    redis_seconds: Callable[[], float]

    def step(self) -> None:
        """Look after those that nobody has looked at for the longest, unless somebody else does."""
        if not self.lock.take():
            return
        found = self.janitor.sweep(now=self.redis_seconds(), goes_on=self.lock.renew, most=_MOST)
        for finding in found:
            event = "janitor.repaired" if finding.broken else "campaign.expires"
            log.info(event, campaign_id=finding.campaign_id, what=finding.what)
        self.janitor.steering.forget_expired()
        self.lock.rest(_REST_SECONDS)
