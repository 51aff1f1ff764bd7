"""The suppression list: addresses never to mail, and why. Addresses are in their normal form."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from postroom.store.connection import Store


class Suppression:
    """One list for all campaigns. Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._key: Final = store.keys.suppressed

    def add(self, address: str, reason: str) -> None:
        self._store.ask(lambda client: client.hset(self._key, address, reason))

    def add_many(self, addresses: Sequence[str], reason: str) -> None:
        """Put some thousands on the list in one step."""
        if addresses:
            reasons: dict[Any, Any] = dict.fromkeys(addresses, reason)
            self._store.ask(lambda client: client.hset(self._key, mapping=reasons))

    def remove(self, address: str) -> bool:
        """Return whether it was on the list."""
        return bool(self._store.ask(lambda client: client.hdel(self._key, address)))

    def find(self, addresses: Sequence[str]) -> list[int]:
        """Return the positions of those addresses that must not be mailed."""
        return [] if not addresses or self.empty() else self.among(addresses)

    def empty(self) -> bool:
        """Whether nobody is on the list."""
        return not self._store.ask(lambda client: client.hlen(self._key))

    def among(self, addresses: Sequence[str]) -> list[int]:
        """As `find`, for one address or more and a list that is not empty."""
        found = self._store.ask(lambda client: client.hmget(self._key, addresses))
        return [at for at, reason in enumerate(found) if reason is not None]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield addresses and reasons; one that comes or goes meanwhile may be missed."""
        cursor = 0
        while True:
            cursor, some = self._page(cursor)
            for address, reason in some.items():
                yield address.decode(), reason.decode()
            if cursor == 0:
                return

    def _page(self, cursor: int) -> tuple[int, dict[bytes, bytes]]:
        page: tuple[int, dict[bytes, bytes]] = self._store.ask(
            lambda client: client.hscan(self._key, cursor, count=1000)
        )
        return page
