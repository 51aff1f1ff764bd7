"""Which senders the running producers and workers know, for services that have no settings."""

from collections.abc import Mapping
from typing import Any, Final

from postroom.model import AccountName, SenderName
from postroom.settings import Sender
from postroom.store.connection import Store


class Directory:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._key: Final = store.keys.senders

    def announce(self, senders: Mapping[str, Sender]) -> None:
        """Tell everybody which senders this process knows; call it when a process starts."""
        accounts: dict[Any, Any] = {name: sender.account for name, sender in senders.items()}
        if accounts:
            self._store.ask(lambda client: client.hset(self._key, mapping=accounts))

    def senders(self) -> dict[SenderName, AccountName]:
        """Return every announced sender and its account."""
        found = self._store.ask(lambda client: client.hgetall(self._key))
        return {
            SenderName(name.decode()): AccountName(account.decode())
            for name, account in found.items()
        }

    def account_of(self, sender: SenderName) -> AccountName | None:
        return self.senders().get(sender)
