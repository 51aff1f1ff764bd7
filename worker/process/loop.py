"""One thing that a process does again and again beside sending, in a thread of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from postroom.errors import StoreUnavailableError
from worker.stopping import Stopping

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Waits for no other loop, and no other for it."""

    name: str
    step: Callable[[], float]
    """Does it once. Returns the seconds until the next time."""
    seconds: float
    """Until the next time, after a step that failed."""
    stopping: Stopping

    def run(self) -> None:
        """Work until the process stops. Redis being away is waited out."""
        away = False
        while not self.stopping.asked():
            rest = self.seconds
            try:
                rest = self.step()
                away = False
            except StoreUnavailableError as error:
                if not away:
                    log.warning("redis.away", reason=str(error), loop=self.name)
                away = True
            except Exception:
                log.exception("loop.failed", loop=self.name)
            self.stopping.sleep(rest)
