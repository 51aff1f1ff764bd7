"""Asks before each call whether its recipients may still be mailed: a split can be days old."""

from collections.abc import Sequence
from typing import Final

from tenacity import Retrying

from postroom.clock import Clock
from postroom.content.address import normal
from postroom.model import Recipient
from postroom.store.suppression import Suppression

_LOOK_SECONDS: Final = 0.5
"""How often an empty list is looked at again: who was put on it is not mailed after a second."""


class SuppressionCheck:
    """The suppression list as calls ask it; while it is empty they ask nothing.

    Redis being away is waited out by `waiting`: nobody is mailed unasked.
    """

    def __init__(self, suppression: Suppression, waiting: Retrying, clock: Clock) -> None:
        self._suppression: Final = suppression
        self._waiting: Final = waiting
        self._clock: Final = clock
        self._empty_until = 0.0
        self._looked_until = 0.0

    def find(self, recipients: Sequence[Recipient]) -> list[int]:
        """Return the positions of those who must not be mailed.

        One question for all, of O(recipients of a call). Raises `StoreUnavailableError` when
        the process stops while Redis is away.
        """
        if not recipients or self._is_empty():
            return []
        return self._waiting(self._suppression.among, [normal(one.email) for one in recipients])

    def _is_empty(self) -> bool:
        asked_at = self._clock()
        if asked_at >= self._looked_until:
            empty = self._waiting(self._suppression.empty)
            self._looked_until = asked_at + _LOOK_SECONDS
            self._empty_until = self._looked_until if empty else 0.0
        return asked_at < self._empty_until
