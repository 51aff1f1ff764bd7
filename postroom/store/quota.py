"""Whose turn it is to read an account from SES, and never too often for all processes together."""

from typing import Final

from postroom.model import AccountName
from postroom.store.connection import Store

_GAP_MS: Final = 1_100
"""SES takes one management call a second from an account; a little more keeps off the edge."""


class QuotaTurns:
    """Locks that expire by themselves: a process that dies holds nobody up."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    def due(self, account: AccountName, *, every_seconds: float) -> bool:
        """Whether the caller is the one to read the account now. Takes the turn."""
        keys = self._store.keys.account(account)
        every_ms = int(every_seconds * 1000)
        taken = self._store.ask(
            lambda client: (
                not client.exists(keys.poll)
                and client.set(keys.asked, "1", px=_GAP_MS, nx=True)
                and client.set(keys.poll, "1", px=every_ms, nx=True)
            )
        )
        return bool(taken)

    def free(self, account: AccountName) -> bool:
        """Whether SES may be asked about the account now. Takes this second."""
        asked = self._store.keys.account(account).asked
        return bool(self._store.ask(lambda client: client.set(asked, "1", px=_GAP_MS, nx=True)))

    def soon(self, account: AccountName) -> None:
        """Somebody is to read the account as soon as SES may be asked again."""
        keys = self._store.keys.account(account)
        self._store.ask(lambda client: client.delete(keys.poll))
