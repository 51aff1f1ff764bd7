"""Which senders the running producers and workers know, for services that have no settings."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgspec

from postroom.meaning import Meaning, decoded, decoded_all, encoded, mark_of_all
from postroom.model import AccountName, SenderName
from postroom.settings import Sender
from postroom.store.connection import Store

_STANDS_SECONDS: Final = 30


class Rank(IntEnum):
    """Whose word on the meaning of a sender goes before whose."""

    WORKER = 0
    PRODUCER = 1
    STARTED = 2
    """A producer that has just started: its settings are the newest."""


class SenderAddresses(NamedTuple):
    """What the reader of a mail sees of its sender."""

    from_: str = ""
    reply_to: tuple[str, ...] = ()


class SenderRegistry:
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

    def announce_meanings(self, means: Mapping[SenderName, Meaning], rank: Rank) -> None:
        """Tell what the senders mean here; to be repeated every ten seconds or so.

        n is the senders of the settings.
        """
        told = [part for name, one in means.items() for part in (name, one.mark, encoded(one))]
        if told:
            keys = self._store.keys
            self._store.run(
                "announce_senders", [keys.meanings], [_STANDS_SECONDS, int(rank), *told]
            )
            mark, settings = mark_of_all(means), encoded(means)
            self._store.ask(lambda client: client.hset(keys.settings, mark, settings))

    def meaning_of(self, sender: SenderName) -> Meaning | None:
        """Return what a sender means to the running processes; None when none has told."""
        key = self._store.keys.meanings
        stored: bytes | None = self._store.ask(lambda client: client.hget(key, sender))
        return decoded(stored.split(b"|", 3)[3]) if stored else None

    def settings(self, marks: Iterable[str]) -> dict[str, dict[SenderName, Meaning]]:
        """Return what the senders mean in the settings that processes announced by these marks."""
        wanted = sorted(set(marks))
        if not wanted:
            return {}
        key = self._store.keys.settings
        found = self._store.ask(lambda client: client.hmget(key, wanted))
        pairs = zip(wanted, found, strict=True)
        return {mark: decoded_all(stored) for mark, stored in pairs if stored}

    def senders(self) -> dict[SenderName, AccountName]:
        """Return every announced sender and its account."""
        found = self._store.ask(lambda client: client.hgetall(self._key))
        return {
            SenderName(name.decode()): AccountName(account.decode())
            for name, account in found.items()
        }

    def account_of(self, sender: SenderName) -> AccountName | None:
        """Return the account of an announced sender. One round trip, however many there are."""
        found: bytes | None = self._store.ask(lambda client: client.hget(self._key, sender))
        return None if found is None else AccountName(found.decode())

    def addresses(self, sender: str) -> SenderAddresses:
        """Return what was announced last; nothing while an older Postroom announces."""
        key = self._store.keys.sender_addresses
        stored = self._store.ask(lambda client: client.hget(key, sender))
        return msgspec.json.decode(stored, type=SenderAddresses) if stored else SenderAddresses()
