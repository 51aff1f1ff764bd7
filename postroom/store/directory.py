"""Which senders the running producers and workers know, for services that have no settings."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from postroom.model import AccountName, SenderName
from postroom.settings import Sender
from postroom.store.connection import Store


class SenderAddresses(NamedTuple):
    """What the reader of a mail sees of its sender."""

    from_: str = ""
    reply_to: tuple[str, ...] = ()


class Directory:
    """Raises `StoreUnavailableError` when Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._key: Final = store.keys.senders

    def announce(self, senders: Mapping[str, Sender]) -> None:
        """Tell everybody which senders this process knows; call it when a process starts."""
        if not senders:
            return
        accounts: dict[Any, Any] = {name: sender.account for name, sender in senders.items()}
        addresses: dict[Any, Any] = {
            name: msgspec.json.encode(SenderAddresses(one.from_, tuple(one.reply_to)))
            for name, one in senders.items()
        }
        self._store.ask(lambda client: client.hset(self._key, mapping=accounts))
        key = self._store.keys.sender_addresses
        self._store.ask(lambda client: client.hset(key, mapping=addresses))

    def senders(self) -> dict[SenderName, AccountName]:
        """Return every announced sender and its account."""
        found = self._store.ask(lambda client: client.hgetall(self._key))
        return {
            SenderName(name.decode()): AccountName(account.decode())
            for name, account in found.items()
        }

    def account_of(self, sender: SenderName) -> AccountName | None:
        return self.senders().get(sender)

    def addresses(self, sender: str) -> SenderAddresses:
        """Return what was announced last; nothing while an older Postroom announces."""
        key = self._store.keys.sender_addresses
        stored = self._store.ask(lambda client: client.hget(key, sender))
        return msgspec.json.decode(stored, type=SenderAddresses) if stored else SenderAddresses()
