"""What every worker process does beside sending and its heartbeat: three loops, each at a pace of
its own. Locks on Redis let one process do what one is enough for, and none is missed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from postroom.health.janitor import Janitor
from worker.account.poller import AccountPoller
from worker.process.loop import Loop
from worker.process.sweep import Sweep
from worker.process.tick import Tick
from worker.stopping import Stopping

_TRY_SWEEP_SECONDS: Final = 1.0
"""Between two looks whether somebody else sweeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """One process' upkeep."""

    quota: AccountPoller
    tick: Tick
    sweep: Sweep
    close_unused: Callable[[], None]
    """Closes clients of SES."""
    seconds: float
    """Between two looks whether an account is to be read."""
    stopping: Stopping

    @property
    def janitor(self) -> Janitor:
        return self.sweep.janitor

    def loops(self) -> tuple[Loop, ...]:
        steps = (
            ("quota", self._read_accounts, self.seconds),
            ("tick", self.tick.step, self.seconds),
            ("sweep", self._sweep, _TRY_SWEEP_SECONDS),
        )
        return tuple(
            Loop(name=name, step=step, seconds=seconds, stopping=self.stopping)
            for name, step, seconds in steps
        )

    def _read_accounts(self) -> float:
        self.quota.tick()
        self.close_unused()
        return self.seconds

    def _sweep(self) -> float:
        self.sweep.step()
        return _TRY_SWEEP_SECONDS
