"""Wakes what sleeps at its exact moment, and fills the workers' room about once a second."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from postroom.store.dispatch import Dispatch

_SHORTEST_SECONDS: Final = 0.001
"""Clocks of two machines run apart: one that wakes a little early looks again."""


@dataclass(slots=True, kw_only=True)
class Tick:
    """One process' tick. Every process wakes sleepers: whoever is first moves them, and none is
    missed for the death of another. The room is filled by one of them a tick.
    """

    dispatch: Dispatch
    release: Callable[[], int]
    first: Callable[[], bool]
    """Whether nobody else has filled the room within this tick."""
    seconds: float
    _expects: bool = field(default=False, init=False)

    def step(self) -> float:
        """Wake and release what is due; return the seconds until the next moment, or the tick.

        n is what sleeps until now, woken some at a time. Raises `StoreUnavailableError`.
        """
        expected, self._expects = self._expects, False
        woken, rest = self.dispatch.wake_sleepers()
        if woken or expected or self.first():
            self.release()
        while woken:
            woken, rest = self.dispatch.wake_sleepers()
            if woken:
                self.release()
        if rest is None or rest >= self.seconds:
            return self.seconds
        self._expects = True
        return max(_SHORTEST_SECONDS, rest)
