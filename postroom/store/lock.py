"""A lock that lasts as long as its holder works, and a while after that: one at a time does it."""

from typing import Final

from postroom.clock import Clock
from postroom.store.connection import Store


class Lock:
    """Held by one owner at most; a holder that died loses it by time.

    Its holder calls `renew` between any two steps, and stops once that says no: somebody else may
    have gone on meanwhile. Raises `StoreUnavailableError` when Redis is away.
    """

    def __init__(
        self, store: Store, name: str, *, owner: str, lasts_seconds: float, clock: Clock
    ) -> None:
        """It lapses when it was not renewed for `lasts_seconds`."""
        self._store: Final = store
        self._key: Final = store.keys.dispatch(f"lock:{name}")
        self._owner: Final = owner
        self._lasts: Final = lasts_seconds
        self._clock: Final = clock
        self._renewed_at = 0.0

    def take(self) -> bool:
        """Take it, unless somebody has it: be it the caller himself, who rests after his work."""
        self._renewed_at = self._clock()
        lasts_ms = int(self._lasts * 1000)
        return bool(
            self._store.ask(lambda client: client.set(self._key, self._owner, px=lasts_ms, nx=True))
        )

    def renew(self) -> bool:
        """Whether it is still the caller's. Cheap: Redis is asked when a part of its time is up."""
        if self._clock() - self._renewed_at < self._lasts / 10:
            return True
        self._renewed_at = self._clock()
        return self._keep(self._lasts)

    def rest(self, seconds: float) -> None:
        """The work is done: nobody need do it again for so long."""
        self._keep(seconds)

    def _keep(self, seconds: float) -> bool:
        return bool(
            self._store.run("keep_lock", [self._key], [self._owner, max(1, int(seconds * 1000))])
        )
